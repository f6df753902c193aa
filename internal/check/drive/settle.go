package drive

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/check/history"
)

const (
	// settlePause is between two tries to settle something.
	settlePause = 100 * time.Millisecond
	// brief is how long a last read waits for a node while the load goes on, once another
	// has answered.
	brief = 2 * time.Second
)

// settle sends every batch that is unknown again, until an answer tells what became of it.
func (c *caller) settle() {
	until := time.Now().Add(c.Settle)
	for _, b := range c.unsettled {
		if ret := c.insist(b, until); settles(&ret) {
			c.counts.Unknown.Add(-1)
			c.counts.of(&ret).Add(1)
		}
	}
	c.unsettled = nil
}

// insist sends a batch until an answer tells what became of it, or it takes too long.
func (c *caller) insist(b *batch, until time.Time) (ret history.Return) {
	for c.work.Err() == nil {
		ret = c.sendBatch(b, c.anyNode(), true)
		if settles(&ret) || ret.Code == sheaf.RequestIDExpired || time.Now().After(until) {
			break
		}
		pause(c.work, settlePause)
	}
	return ret
}

// lastReads reads a trial's keys at every node. While the load goes on it does not wait long
// for a node that is away, as long as one has answered.
func (t *team) lastReads(keys []string) {
	var answered atomic.Bool
	began := time.Now()
	var readers sync.WaitGroup
	for _, n := range t.nodes {
		reader := t.callers[0].alias()
		readers.Go(func() {
			for t.work.Err() == nil {
				if _, ok := reader.sendRead(&reading{keys: keys, level: sheaf.Linearizable, last: true}, n, false); ok {
					answered.Store(true)
					return
				}
				waited := time.Since(began)
				if waited > t.Settle || waited > brief && answered.Load() && t.load.Err() == nil {
					return
				}
				pause(t.work, settlePause)
			}
		})
	}
	readers.Wait()
}

// alias is the same client as another process, for something to do beside the caller's own.
func (c *caller) alias() *caller {
	other := &caller{team: c.team, client: c.client, rng: c.run.rng(c.client, 1)}
	other.renew()
	return other
}
