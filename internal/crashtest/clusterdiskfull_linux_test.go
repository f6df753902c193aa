package crashtest

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/client"
)

// TestAClusterWithOneFullDiskGoesOn: where the leader's disk is full another leads, so that
// writes are acknowledged and reads are current at the others, and the node catches up when it
// has room again.
func TestAClusterWithOneFullDiskGoesOn(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, store string) {
		t.Parallel()
		rng, h := newRand(t), newHistory()
		c := prepareCluster(t, 3, store)
		disk := smallDisk(t)
		full, filler := 2, filepath.Join(disk, "filler")
		c.dirs[full] = filepath.Join(disk, "node")
		for i := range c.nodes {
			c.launch(i)
		}
		for i := range c.nodes {
			c.proc(i).mustBeReady(t)
		}
		writeInTurn(t, c.everybody(), h, 4, 200, oneGroup)
		if err := c.client(0).TransferLeader(t.Context(), 1, c.names[full]); err != nil {
			t.Fatal(err)
		}
		fill(t, filler, 1<<30)

		acked, refused := 0, 0
		await(t, "acknowledged batches while one disk is full", func() bool {
			fill(t, filler, 1<<30) // the ballast goes too
			b := h.begin([]int{rng.IntN(keyGroups)}, 16<<10)
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			result, err := c.client(rng.IntN(c.nodes)).PutAll(ctx, b.entries(), client.WithRequestID(b.id))
			switch code := sheaf.CodeOf(err); {
			case err == nil:
				h.acknowledge(b, result.Version)
				acked++
			case code == sheaf.NoSpace || code == sheaf.NotLeader || code == sheaf.NotProposed || code == sheaf.OutcomeUnknown:
				h.fail(b, err)
				refused++
			default:
				t.Fatalf("a full disk of one node is answered with %v", err)
			}
			return acked >= 200
		})
		t.Logf("%d batches acknowledged and %d not while a disk was full", acked, refused)
		for i := range full {
			h.checkPresent(t, look(t, c.client(i), h))
		}
		if !c.proc(full).ended() { // what it cannot log it cannot know: it shows what it had
			if _, err := c.client(full).GetAll(t.Context(), keysOf(0), client.At(sheaf.Eventual)); err != nil {
				t.Errorf("read at the node whose disk is full: %v", err)
			}
		}
		mustRemove(t, filler)
		room := time.Now()
		if c.proc(full).ended() {
			t.Logf("the node ended:\n%s", c.proc(full).stderr.brief())
			c.restart(full)
		}
		t.Logf("all is well %s after there was room", c.awaitHealth(h, room).Round(time.Millisecond))
		for i := range c.nodes {
			h.verify(t, c.addrs[i], rng)
		}
	})
}
