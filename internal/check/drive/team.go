package drive

import (
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/sheafdb/sheaf/client"
)

// maxUnsettled is how many batches of a trial may be unknown before it is brought to its end:
// each doubles what a search for an order may have to look at.
const maxUnsettled = 6

type node struct {
	addr string
	conn *client.Client
}

// team are the clients that work on one trial at a time.
type team struct {
	*run
	workload *workload
	nodes    []*node
	// everywhere is one client of all nodes.
	everywhere *node
	callers    []*caller
	rng        *rand.Rand

	// Of the trial at work.
	trial     string
	unsettled atomic.Int64
}

func (t *team) close() {
	for _, n := range t.nodes {
		_ = n.conn.Close() // nothing is under way
	}
	if t.everywhere != nil {
		_ = t.everywhere.conn.Close()
	}
}

func (t *team) goOn() {
	for t.load.Err() == nil {
		t.one()
	}
}

// one is one trial, from its first call to its last.
func (t *team) one() {
	t.trial = t.workload.name + "/" + strconv.FormatInt(t.trials.Add(1), 10)
	t.unsettled.Store(0)
	if err := t.recorder.Open(t.trial, t.workload.name); err != nil {
		t.fail(err)
		return
	}
	s := t.workload.script(t)
	if s.begin(t.callers[0]) {
		var budget atomic.Int64
		budget.Store(int64(t.workload.steps))
		t.all(func(c *caller) {
			for t.load.Err() == nil && t.unsettled.Load() < maxUnsettled && budget.Add(-1) >= 0 {
				s.step(c)
			}
		})
	}
	t.all((*caller).settle)
	s.finish(t.callers[0])
	t.lastReads(s.keys())
	if t.work.Err() != nil {
		return
	}
	if err := t.recorder.Close(t.trial); err != nil {
		t.fail(err)
	}
}

// all does something with every caller at the same time.
func (t *team) all(do func(*caller)) {
	var working sync.WaitGroup
	for _, c := range t.callers {
		working.Go(func() { do(c) })
	}
	working.Wait()
}

// key is the key that a trial's calls have a short name for.
func (t *team) key(name string) []byte { return []byte(t.Prefix + t.trial + "/" + name) }
