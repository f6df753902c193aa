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

// Some groups of keys are written all the time, so that batches meet on them; the others are
// many, so that most batches do not wait for each other.
const (
	hotGroups = keyGroups
	allGroups = 400
)

// callers write at all nodes of a cluster as a careful program does: a batch whose outcome
// is unknown is sent again, with its ID, to any node.
type callers struct {
	history *history
	clients []*client.Client // one of each node, and one of all
	enough  chan struct{}    // closed by finish
	working sync.WaitGroup
}

func startCallers(t *testing.T, c *testCluster, h *history, rng *rand.Rand, ofEachNode int) *callers {
	t.Helper()
	cs := &callers{history: h, enough: make(chan struct{})}
	for _, addr := range c.addrs[:c.nodes] {
		cs.clients = append(cs.clients, connect(t, addr))
	}
	cs.clients = append(cs.clients, connect(t, c.everybody()))
	for at := range cs.clients {
		for range ofEachNode {
			own := rand.New(rand.NewPCG(rng.Uint64(), rng.Uint64()))
			cs.working.Go(func() { cs.work(own, at) })
		}
	}
	return cs
}

// pick draws the groups of keys of a batch.
func pick(rng *rand.Rand) (groups []int) {
	if rng.IntN(8) == 0 {
		return rng.Perm(hotGroups)[:1+rng.IntN(3)]
	}
	for range 1 + rng.IntN(3) {
		group := rng.IntN(allGroups)
		for _, other := range groups {
			if other == group {
				return groups // a batch names a key once
			}
		}
		groups = append(groups, group)
	}
	return groups
}

func (cs *callers) work(rng *rand.Rand, at int) {
	for !cs.over() {
		b := cs.next(rng, at)
		if err := cs.carry(rng, at, b); err != nil {
			cs.history.fail(b, err)
			time.Sleep(refusalPause)
		}
	}
}

// next begins a batch: one in eight at SEQUENTIAL, two in eight on a condition.
func (cs *callers) next(rng *rand.Rand, at int) *batch {
	kind := rng.IntN(8)
	if kind == 0 {
		b := cs.history.begin(pickParts(rng), rng.IntN(256))
		b.level = sheaf.Sequential
		return b
	}
	b := cs.history.begin(pick(rng), rng.IntN(256))
	if kind <= 2 {
		b.require(cs.clients[at], rng.IntN(2) == 0)
	}
	return b
}

func (cs *callers) over() bool {
	select {
	case <-cs.enough:
		return true
	default:
		return false
	}
}

// attempts bounds how often a caller sends a batch.
const attempts = 20

// carry sends a batch, each time to any node, until it is acknowledged. The client does not
// retry by itself, so that what each answer says can be held against what became of the batch:
// if every one says that it did nothing, nobody may ever see it. One call in eight has hardly
// any time, so that outcomes are unknown also where nothing is broken.
func (cs *callers) carry(rng *rand.Rand, at int, b *batch) error {
	var unknown error
	var nothing []error
	for range attempts {
		limit := time.Second
		if rng.IntN(8) == 0 {
			limit = time.Millisecond << rng.IntN(8)
		}
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		result, err := b.send(ctx, cs.clients[at], client.WithoutRetry())
		cancel()
		if err == nil {
			if cs.history.take(b, result) {
				return nil
			}
			err = &sheaf.Error{Code: sheaf.OutcomeUnknown, Detail: "a part is missing"}
		}
		row, known := sheaf.CodeOf(err).Row()
		switch {
		case !known || row.Retry == sheaf.RetryNever || unmet(err): // whatever became of attempts before
			return err
		case row.Outcome == sheaf.Unknown:
			unknown = err
		default:
			nothing = append(nothing, err)
		}
		if cs.over() {
			break // the verdict sends it again
		}
		pauseFor(rng, 0, 10*refusalPause)
		at = rng.IntN(len(cs.clients))
	}
	if unknown != nil {
		return unknown
	}
	return &sheaf.Error{Code: sheaf.NotProposed, Err: errors.Join(nothing...)}
}

// finish lets the callers end their attempts and waits for them.
func (cs *callers) finish() {
	close(cs.enough)
	cs.working.Wait()
	for _, c := range cs.clients {
		_ = c.Close() // closing twice is harmless
	}
}
