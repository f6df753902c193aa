package drive

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/check/history"
)

// What clients do, in a hundred times.
const (
	patientPercent = 30 // let the client package try again
	hedgePercent   = 3  // send a batch to two endpoints at the same time
	repeatPercent  = 3  // send a batch again that was answered
	persistPercent = 60 // try again at once after an unknown outcome, and not much later
	afterPercent   = 30 // pass the session's version along where the level does not need it
)

// persistence is how often a client tries again at once.
const persistence = 4

// Back-off after a call that failed.
const (
	leastPause = 10 * time.Millisecond
	mostPause  = 150 * time.Millisecond
)

// caller is one client at work.
type caller struct {
	*team
	client int
	// process is who it is at the moment: a client that leaves an operation unknown goes
	// on as somebody else, so that no process does two things at once.
	process int
	// after is the largest version that the process has seen.
	after uint64
	rng   *rand.Rand
	// unsettled are the batches that it has left unknown.
	unsettled []*batch
}

func (c *caller) renew() {
	c.process, c.after = int(c.processes.Add(1)), 0
}

func (c *caller) percent(n int) bool { return c.rng.IntN(100) < n }

func (c *caller) anyNode() *node { return c.nodes[c.rng.IntN(len(c.nodes))] }

func (c *caller) pause() {
	pause(c.work, leastPause+time.Duration(c.rng.Int64N(int64(mostPause-leastPause))))
}

func pause(ctx context.Context, d time.Duration) {
	wait := time.NewTimer(d)
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-ctx.Done():
	}
}

// newID makes a request ID, of both kinds: servers keep them apart.
func (c *caller) newID() sheaf.RequestID {
	if c.percent(50) && !c.opaque.Load() {
		return sheaf.RequestID("v7-" + uuid.Must(uuid.NewV7()).String())
	}
	return sheaf.RequestID("check-" + uuid.NewString())
}

// session is the version to pass along at a level.
func (c *caller) session(level sheaf.Consistency) uint64 {
	if level == sheaf.Sequential || level == sheaf.Linearizable && c.percent(afterPercent) {
		return c.after
	}
	return 0
}

// read makes one read somewhere.
func (c *caller) read(level sheaf.Consistency, keys ...string) (found, bool) {
	r := &reading{keys: keys, level: level, after: c.session(level)}
	f, ok := c.sendRead(r, c.anyNode(), c.percent(patientPercent))
	if !ok {
		c.counts.Failed.Add(1)
		c.pause()
		return f, false
	}
	c.counts.OK.Add(1)
	for _, version := range f.versions {
		c.after = max(c.after, version)
	}
	return f, true
}

// write makes one batch, and tries again in the ways that callers do.
func (c *caller) write(b *batch) history.Outcome {
	b.id, b.after = c.newID(), c.session(b.level)
	ret := c.first(b)
	if ret.Outcome == history.Unknown && c.percent(persistPercent) {
		for range persistence {
			c.pause()
			if again := c.sendBatch(b, c.anyNode(), c.percent(patientPercent)); settles(&again) {
				ret = again
				break
			}
		}
	}
	c.counts.of(&ret).Add(1)
	if ret.Code == sheaf.InvalidBatch || ret.Code == sheaf.RequestIDExpired {
		c.opaque.Store(true)
	}
	switch {
	case ret.Outcome == history.OK:
		c.after = max(c.after, ret.Version)
		if c.percent(repeatPercent) {
			c.sendBatch(b, c.anyNode(), c.percent(patientPercent))
		}
	case ret.Outcome == history.Unknown:
		c.unsettled = append(c.unsettled, b)
		c.team.unsettled.Add(1)
		c.renew()
	case ret.Code == sheaf.ETagMismatch, ret.Code == sheaf.VersionMismatch:
	default:
		c.pause()
	}
	return ret.Outcome
}

// first sends a batch for the first time, sometimes to two endpoints at once.
func (c *caller) first(b *batch) history.Return {
	one, patient := c.anyNode(), c.percent(patientPercent)
	if !c.percent(hedgePercent) {
		return c.sendBatch(b, one, patient)
	}
	two := c.anyNode()
	var other history.Return
	var sending sync.WaitGroup
	sending.Go(func() { other = c.sendBatch(b, two, patient) })
	ret := c.sendBatch(b, one, patient)
	sending.Wait()
	return better(ret, other)
}

// better is what two calls at the same batch tell together.
func better(a, b history.Return) history.Return {
	switch {
	case settles(&a):
		return a
	case settles(&b), b.Outcome == history.Unknown:
		return b
	}
	return a
}

// settles reports whether a call says for ever what became of its batch.
func settles(ret *history.Return) bool {
	return ret.Outcome == history.OK || ret.Outcome == history.NotApplied && ret.Code != sheaf.InvalidBatch
}
