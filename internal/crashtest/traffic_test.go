package crashtest

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/client"
)

// load is the shape of the batches that writers send.
type load struct {
	writers int
	// maxValueBytes bounds the values; the sizes are drawn below it.
	maxValueBytes int
	// throughRefusals lets a writer go on after a refusal, as a program does
	// that waits for a full disk to have room again.
	throughRefusals bool
	// throughAll lets a writer go on after whatever he is told. It is for a cluster, whose
	// nodes try again by themselves: a caller's first attempt may be answered as a replay.
	throughAll bool
}

// eight is the load of most tests: values large enough that a few hundred
// batches fill segments of the log.
var eight = load{writers: 8, maxValueBytes: 8 << 10}

// refusalPause is how long a writer that goes on waits after a refusal.
const refusalPause = 5 * time.Millisecond

// traffic is writers at work on one node.
type traffic struct {
	history *history
	client  *client.Client
	before  int // acknowledged when it began
	cancel  context.CancelFunc
	enough  chan struct{} // closed by finish
	writers sync.WaitGroup
}

func connect(t *testing.T, addr string) *client.Client {
	t.Helper()
	c, err := client.New(addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() }) // closing twice is harmless
	return c
}

// startTraffic lets writers loose on the node at addr.
func startTraffic(t *testing.T, addr string, h *history, rng *rand.Rand, load load) *traffic {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	tr := &traffic{history: h, client: connect(t, addr), before: h.ackedCount(), cancel: cancel, enough: make(chan struct{})}
	t.Cleanup(tr.stop)
	for range load.writers {
		own := rand.New(rand.NewPCG(rng.Uint64(), rng.Uint64()))
		tr.writers.Go(func() { tr.write(ctx, own, load) })
	}
	return tr
}

// write sends batch after batch, each once it knows of the one before, until the
// first that was not acknowledged. The client retries on its own; only what it
// says in the end counts.
func (tr *traffic) write(ctx context.Context, rng *rand.Rand, load load) {
	for {
		select {
		case <-tr.enough:
			return
		case <-ctx.Done():
			return
		default:
		}
		groups := rng.Perm(keyGroups)[:1+rng.IntN(3)]
		b := tr.history.begin(groups, rng.IntN(load.maxValueBytes))
		result, err := tr.client.PutAll(ctx, b.entries(), client.WithRequestID(b.id))
		if err == nil {
			if result.Replayed && result.Attempts == 1 && !load.throughAll {
				err = errors.New("the first attempt was answered as a replay")
			} else {
				tr.history.acknowledge(b, result.Version)
				continue
			}
		}
		tr.history.fail(b, err)
		if !load.throughAll && (!load.throughRefusals || sheaf.CodeOf(err) != sheaf.NoSpace) {
			return
		}
		select {
		case <-time.After(refusalPause):
		case <-ctx.Done():
		}
	}
}

// acked is how many batches were acknowledged since the traffic began.
func (tr *traffic) acked() int { return tr.history.ackedCount() - tr.before }

// awaitAcked returns when n batches were acknowledged: a test whose node took
// none would prove nothing.
func (tr *traffic) awaitAcked(t *testing.T, n int) {
	t.Helper()
	await(t, "acknowledged batches", func() bool { return tr.acked() >= n })
}

// finish lets the writers end their batches and waits for them: on a node that
// goes on, a batch that was given up may still be applied during the verdict.
func (tr *traffic) finish() {
	close(tr.enough)
	tr.writers.Wait()
}

// stop ends the writers in the middle of their batches and waits for them.
func (tr *traffic) stop() {
	tr.cancel()
	tr.writers.Wait()
	_ = tr.client.Close() // closing twice is harmless
}

// patience bounds every wait of this package. Nothing takes long; a loaded
// machine does.
const patience = 30 * time.Second

// await returns when a condition holds, and fails the test if it never does.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for deadline := time.Now().Add(patience); !holds(); <-look.C {
		if time.Now().After(deadline) {
			t.Fatalf("no %s within %s", what, patience)
		}
	}
}

// newRand returns random numbers whose seed is in the test's output.
func newRand(t *testing.T) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}
