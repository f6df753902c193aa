package web

import (
	"context"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// stall lets the node log but not apply, until the test calls release.
func (r *rig) stall(t *testing.T) (release func()) {
	t.Helper()
	view := r.store.View() // a view of this store holds up Apply
	release = sync.OnceFunc(func() {
		if err := view.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(release) // the node cannot stop before
	return release
}

const stalledBatch = `{"request_id":"r","entries":[{"key":"a","value":"1"}]}`

// settled sends the batch again and checks that the first attempt was applied.
func (r *rig) settled(t *testing.T) {
	t.Helper()
	if got := r.do(t, "POST", "/v1/putall", stalledBatch); got.StatusCode != 200 || !strings.Contains(got.body, `"replayed":true`) {
		t.Errorf("the retry got %d %s", got.StatusCode, got.body)
	}
}

func TestPassedDeadlineLeavesTheOutcomeUnknown(t *testing.T) {
	node := newRig(t, nil)
	release := node.stall(t)
	// Long enough that a busy machine, too, has the batch in the log before the time is over.
	got := node.do(t, "POST", "/v1/putall", stalledBatch, timeoutHeader, "1000")
	release()
	if got.StatusCode != 504 || !strings.Contains(got.body, `"reason":"OUTCOME_UNKNOWN","retry":"same-id","outcome":"unknown"`) {
		t.Errorf("got %d %s", got.StatusCode, got.body)
	}
	node.settled(t)
}

// TestClientThatLeavesIsCountedUntilItsBatchIsDone: nobody waits for the batch
// any more, but it is in memory until the log has let go of it.
func TestClientThatLeavesIsCountedUntilItsBatchIsDone(t *testing.T) {
	node := newRig(t, nil)
	release := node.stall(t)
	before := node.group.LogBytes()
	ctx, cancel := context.WithCancel(context.Background())
	req, err := http.NewRequestWithContext(ctx, "POST", node.URL+"/v1/putall", strings.NewReader(stalledBatch+strings.Repeat(" ", 1<<20)))
	if err != nil {
		t.Fatal(err)
	}
	left := make(chan error)
	go func() {
		_, err := node.Client().Do(req) //nolint:bodyclose // there is no answer
		left <- err
	}()
	// The body is read and given back; what waits for the disk is counted on.
	wait(t, "only the entries are counted", func() bool { now, _ := node.gate.InFlight(); return now > 0 && now < 100 })
	wait(t, "the batch is in the log", func() bool { return node.group.LogBytes() > before })
	cancel()
	if err := <-left; err == nil {
		t.Error("there was an answer")
	}
	if now, _ := node.gate.InFlight(); now == 0 {
		t.Error("a batch that waits for the disk is not counted")
	}
	release()
	wait(t, "the batch is done", func() bool { now, _ := node.gate.InFlight(); return now == 0 })
	if got := node.do(t, "GET", "/v1/keys/a", ""); got.StatusCode == 200 {
		node.settled(t)
	}
}

// wait returns when a condition holds.
func wait(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("gave up waiting until %s", what)
		}
		runtime.Gosched()
	}
}
