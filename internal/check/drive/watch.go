package drive

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/check/history"
)

// watch is small batches of a few keys, and followers who are sent what becomes of them: one by
// a Watch that goes on from node to node, one by a Sync that begins anew now and then. The last
// batch of a trial writes all keys: whoever has seen it must have seen what it came behind.
type watch struct {
	names     []string
	followers []*follower
	following sync.WaitGroup
	stop      context.CancelFunc
	// last is what the last batch writes to the first key.
	last atomic.Pointer[string]
}

const (
	leastWatched = 3
	mostWatched  = 6
)

func newWatch(t *team) script {
	return &watch{names: named("w", leastWatched+t.rng.IntN(mostWatched-leastWatched+1))}
}

func (s *watch) keys() []string { return s.names }

// begin lets the followers begin, and does not wait long for one that cannot.
func (s *watch) begin(c *caller) bool {
	ctx, stop := context.WithCancel(c.work)
	s.stop = stop
	for i, kind := range []string{history.Watch, history.Sync} {
		f := newFollower(c.team, s, i+1, kind)
		s.followers = append(s.followers, f)
		s.following.Go(func() { f.goOn(ctx) })
	}
	s.await(c, brief, func(f *follower) <-chan struct{} { return f.began })
	return true
}

// await waits until something is true of all followers, or for a while.
func (s *watch) await(c *caller, most time.Duration, is func(*follower) <-chan struct{}) {
	ctx, cancel := context.WithTimeout(c.work, most)
	defer cancel()
	for _, f := range s.followers {
		select {
		case <-is(f):
		case <-ctx.Done():
			return
		}
	}
}

func (s *watch) step(c *caller) {
	b := &batch{keys: some(c.rng, s.names, 1, len(s.names)), level: sheaf.Linearizable}
	b.values = c.freshFor(len(b.keys))
	switch dice := c.rng.IntN(100); {
	case dice < 15:
		c.read(sheaf.Linearizable, b.keys...)
		return
	case dice < 30:
		f, ok := c.read(sheaf.Linearizable, b.keys...)
		if !ok {
			return
		}
		b.onlyIf(c, f)
	case dice < 36:
		clear(b.values) // deletes alone
	default:
		for i := range b.values {
			if c.percent(20) {
				b.values[i] = nil
			}
		}
	}
	c.write(b)
}

// finish writes the last batch and lets everybody follow up to it.
func (s *watch) finish(c *caller) {
	b := &batch{id: c.newID(), keys: s.names, values: c.freshFor(len(s.names)), level: sheaf.Linearizable, last: true}
	s.last.Store(b.values[0])
	ret := c.insist(b, time.Now().Add(c.Settle))
	c.counts.of(&ret).Add(1)
	if ret.Outcome == history.OK {
		s.await(c, c.Settle, func(f *follower) <-chan struct{} { return f.arrived })
	}
	s.stop()
	s.following.Wait()
}

// isLast reports whether a value is of the last batch.
func (s *watch) isLast(key string, value *string) bool {
	last := s.last.Load()
	return last != nil && value != nil && key == s.names[0] && *value == *last
}
