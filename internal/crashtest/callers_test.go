package crashtest

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
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
		b := cs.history.begin(pick(rng), rng.IntN(256))
		if rng.IntN(4) == 0 {
			b.require(cs.clients[at], rng.IntN(2) == 0)
		}
		if err := cs.carry(rng, at, b); err != nil {
			cs.history.fail(b, err)
			time.Sleep(refusalPause)
		}
	}
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
			cs.history.acknowledge(b, result.Version)
			return nil
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

// watch reads on and on: no half batch, none that was refused or that nobody wrote, and
// nothing older than what was acknowledged before the read began.
func watch(ctx context.Context, t *testing.T, addr string, h *history, rng *rand.Rand) (reads int) {
	c := connect(t, addr)
	for ctx.Err() == nil {
		groups := rng.Perm(hotGroups)[:1+rng.IntN(4)]
		if rng.IntN(2) == 0 {
			groups = pick(rng)
		}
		var keys [][]byte
		for _, group := range groups {
			keys = append(keys, keysOf(group)...)
		}
		least := h.tops(groups)
		readCtx, cancel := context.WithTimeout(ctx, 3*time.Second)
		values, err := c.GetAll(readCtx, keys, client.WithoutRetry())
		cancel()
		if err != nil {
			if code := sheaf.CodeOf(err); code == sheaf.Internal || code == sheaf.Corruption {
				t.Errorf("a read at %s: %v", addr, err)
			}
			time.Sleep(refusalPause) // nobody to ask, or no leader
			continue
		}
		reads++
		for i, group := range groups {
			items := values.Items[i*keysPerGroup : (i+1)*keysPerGroup]
			for _, item := range items {
				if item.Version != items[0].Version || stampOf(item.Value) != stampOf(items[0].Value) {
					t.Errorf("group %d at %s shows a half batch: versions %d and %d", group, addr, items[0].Version, item.Version)
				}
			}
			if items[0].Version < least[i] {
				t.Errorf("a read of group %d at %s shows version %d, and %d had been acknowledged before it", group, addr, items[0].Version, least[i])
			}
			if wrong := h.wrongToShow(items[0]); wrong != "" {
				t.Errorf("a read of group %d at %s shows %s", group, addr, wrong)
			}
		}
	}
	return reads
}

// tops are the largest versions acknowledged for some groups.
func (h *history) tops(groups []int) []uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	versions := make([]uint64, len(groups))
	for i, group := range groups {
		versions[i] = h.top[group]
	}
	return versions
}

// wrongToShow says why nobody may see an item, "" if he may.
func (h *history) wrongToShow(item sheaf.Item) string {
	if !item.Found {
		return ""
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	stamp := strings.Clone(stampOf(item.Value))
	switch b := h.batches[stamp]; {
	case b == nil:
		return "batch " + stamp + ", which nobody wrote or which all nodes had overwritten"
	case h.refused[stamp] != nil:
		return "batch " + stamp + ", which was refused: " + h.refused[stamp].Error()
	case b.version != 0 && b.version != item.Version:
		return "batch " + stamp + " with another version than the one that was acknowledged"
	}
	return ""
}
