package contract

import (
	"errors"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/config"
)

// TestDeadlines: who gives up before the batch was begun is told so, who gives up
// afterwards is told that nobody knows; the same request ID finds out.
func TestDeadlines(t *testing.T) {
	oneGroup(t) // a batch of another group does not wait for this one
	disk := &slowDisk{FS: vfs.Default}
	n := start(t, t.TempDir(), disk, func(c *config.Config) { c.Eventual.QueueBytes = 64 })
	web, rpc := httpFace{n}, grpcFace{n}
	must(t, web, call{op: putKey, entries: puts("before=1")})

	arrived, release := disk.hold()
	defer release()
	taken := call{id: "taken", entries: puts("taken=1")}
	waits := func(c call) call {
		c.timeout = 150 * time.Millisecond
		return c
	}
	answers := make(chan answer)
	go func() { answers <- web.do(t, call{id: "patient", entries: puts("patient=1")}) }()
	<-arrived
	// The log is busy with one batch, so those that come wait and are not begun.
	late := call{id: "late", entries: puts("late=1")}
	mustRefuse(t, web, waits(late), sheaf.NotProposed)
	// The same request ID as one in flight waits for its answer.
	mustRefuse(t, web, waits(call{id: "patient", entries: puts("patient=1")}), sheaf.NotProposed)
	second := make(chan answer)
	go func() { second <- rpc.do(t, call{id: "patient", entries: puts("patient=1")}) }()
	// Reads need no log.
	for _, f := range n.faces() {
		if got := must(t, f, call{op: getAll, keys: []string{"before", "patient", "late"}}); !got.items[0].found || got.items[1].found || got.items[2].found {
			t.Errorf("%s: while the log is held a read answers %v", f.name(), got.items)
		}
	}
	release()
	first, again := <-answers, <-second
	if first.refused != nil || again.refused != nil || first.version != again.version || first.replayed == again.replayed {
		t.Errorf("two attempts at once were answered %+v and %+v: one answer, and once replayed", first, again)
	}
	if got := must(t, web, late); got.replayed {
		t.Error("a batch that was not begun was applied before its retry")
	}

	arrived, release = disk.hold()
	defer release()
	mustRefuse(t, web, waits(taken), sheaf.OutcomeUnknown)
	<-arrived
	release()
	await(t, "the batch that nobody knew of is visible", func() bool {
		return must(t, web, call{op: getKey, keys: []string{"taken"}}).items[0].found
	})
	for _, f := range n.faces() {
		if got := must(t, f, taken); !got.replayed {
			t.Errorf("%s: the retry of a batch that was applied is %+v", f.name(), got)
		}
	}
}

// TestAFailedLogLeavesTheOutcomeUnknown: a failed fsync may have written or not.
func TestAFailedLogLeavesTheOutcomeUnknown(t *testing.T) {
	for i := range 2 {
		dir, disk := t.TempDir(), &slowDisk{FS: vfs.Default}
		n := start(t, dir, disk, nil)
		f := n.faces()[i]
		kept := must(t, f, call{id: "kept", entries: puts("kept=1")})
		disk.fail(errors.New("the disk is on fire"))
		mustRefuse(t, f, call{id: "lost", entries: puts("lost=1")}, sheaf.OutcomeUnknown)
		<-n.Done()
		n.shut()

		// The next start knows what happened; the retry asks it.
		f = start(t, dir, nil, nil).faces()[i]
		found := must(t, f, call{op: getAll, keys: []string{"lost"}}).items[0].found
		if again := must(t, f, call{id: "lost", entries: puts("lost=1")}); again.replayed != found {
			t.Errorf("%s: the batch was there: %t, but its retry was replayed: %t", f.name(), found, again.replayed)
		}
		if again := must(t, f, call{id: "kept", entries: puts("kept=1")}); !again.replayed || again.version != kept.version || again.etag != kept.etag {
			t.Errorf("%s: after the restart a retry was answered %+v, before it %+v", f.name(), again, kept)
		}
	}
}
