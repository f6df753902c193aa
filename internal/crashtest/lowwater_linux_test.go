package crashtest

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/client"
)

// TestTheNodeMeetsAFullDiskBeforeItHappens: at the low-water mark what was
// acknowledged can still be flushed, so no write of the node's own ever finds
// the disk full.
func TestTheNodeMeetsAFullDiskBeforeItHappens(t *testing.T) {
	eachStore(t, func(t *testing.T, store string) {
		t.Parallel()
		for range 4 { // when the flushes fall is chance
			disk, h := smallDisk(t), newHistory()
			fill(t, filepath.Join(disk, "filler"), 30*mib)
			p := serve(t, filepath.Join(disk, "node"), store)
			writeUntilFull(t, p.addr, h)
			if n := strings.Count(p.stderr.String(), "no space left"); n > 0 {
				t.Errorf("the node ran into the end of the disk %d times before it refused writes", n)
			}
			p.kill()
		}
	})
}

// TestANodeStartsOnADiskWithoutAByte: the ballast is what a start needs when
// somebody else took everything while the node was down.
func TestANodeStartsOnADiskWithoutAByte(t *testing.T) {
	eachStore(t, func(t *testing.T, store string) {
		t.Parallel()
		rng := newRand(t)
		disk, h := smallDisk(t), newHistory()
		dir, filler := filepath.Join(disk, "node"), filepath.Join(disk, "filler")
		p := serve(t, dir, store)
		writeInTurn(t, p.addr, h, keyGroups, 8<<10, oneGroup)
		p.kill()
		fill(t, filler, 1<<30)

		p = serve(t, dir, store)
		c := connect(t, p.addr)
		h.checkPresent(t, look(t, c, h))
		refusedOne := h.begin([]int{0}, 100)
		_, err := c.PutAll(t.Context(), refusedOne.entries(), client.WithRequestID(refusedOne.id))
		if sheaf.CodeOf(err) != sheaf.NoSpace {
			t.Fatalf("a write on a full disk is answered with %v", err)
		}
		h.fail(refusedOne, err)

		mustRemove(t, filler)
		tr := startTraffic(t, p.addr, h, rng, load{writers: 2, maxValueBytes: 500, throughRefusals: true})
		tr.awaitAcked(t, 20)
		tr.finish()
		h.verify(t, p.addr, rng)
	})
}
