package pebble

import (
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/sheafdb/sheaf/internal/store"
)

// stage is the newest part of the state, in memory, in front of Pebble: runs, of
// which the first is written to and the others are sealed and wait to be drained.
//
// Invariants:
//   - State = Pebble's, overlaid with the runs from the oldest to the newest.
//   - A run leaves the set only when Pebble has all of it. So who takes the set first
//     and Pebble's snapshot second sees everything, some of it perhaps twice.
//   - Runs go to Pebble whole, in order, each with the Meta after its last log entry:
//     what Pebble has is the state after some log entry.
//   - At most maxSealed full runs wait; Apply waits for one to go. A Flush may seal
//     one more.
type stage struct {
	runBytes int

	mu   sync.Mutex
	meta store.Meta // after the last log entry applied
	set  *runSet
	// drained and flushed are the indexes of the last log entries that Pebble has, and
	// that its files have.
	drained, flushed uint64
	// failed is why nothing is drained any more, or nil.
	failed error
	pace   pacer
	spare  []*run
	// changed is closed, and replaced, when a run was sealed or drained or flushed.
	changed chan struct{}
}

// runSet is an unchanging list of runs, the newest first. Views hold it.
type runSet struct {
	runs []*run
	refs int // the stage's lock guards it
}

const (
	// maxSealed bounds the full runs that wait for Pebble.
	maxSealed = 2
	// maxSpare bounds the runs kept for use again.
	maxSpare = 2
)

func (g *stage) init(meta store.Meta, runBytes int) {
	g.runBytes = runBytes
	g.meta, g.drained, g.flushed = meta, meta.Index, meta.Index
	g.changed = make(chan struct{})
	g.set = &runSet{refs: 1}
	g.publish([]*run{newRun(runBytes)})
}

// publish makes runs the set. The caller holds mu.
func (g *stage) publish(runs []*run) {
	for _, r := range runs {
		r.refs++
	}
	old := g.set
	g.set = &runSet{runs: runs, refs: 1}
	g.unref(old)
}

// unref gives a set back. The caller holds mu.
func (g *stage) unref(set *runSet) {
	if set.refs--; set.refs > 0 {
		return
	}
	for _, r := range set.runs {
		if r.refs--; r.refs == 0 && len(r.arena) == g.runBytes && len(g.spare) < maxSpare {
			r.reset()
			g.spare = append(g.spare, r)
		}
	}
}

func (g *stage) notify() {
	close(g.changed)
	g.changed = make(chan struct{})
}

// hold takes the set and the Meta, and a snapshot of Pebble after them.
func (g *stage) hold(db *pebble.DB) (*runSet, store.Meta, *pebble.Snapshot) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.set.refs++
	return g.set, g.meta, db.NewSnapshot()
}

func (g *stage) release(set *runSet) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.unref(set)
}

// room returns the run that the next log entry of size bytes goes to. If there is
// none, wait is closed when there may be. The caller keeps others from sealing.
func (g *stage) room(size int) (r *run, wait <-chan struct{}, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch active := g.set.runs[0]; {
	case g.failed != nil:
		return nil, nil, g.failed
	case active.fits(size):
	case active.empty(): // a log entry larger than a run
		g.publish(append([]*run{newRun(size + recordAlign)}, g.set.runs[1:]...))
	case len(g.set.runs) > maxSealed:
		return nil, g.changed, nil
	default:
		g.seal(size)
	}
	return g.set.runs[0], nil, nil
}

// delay is how long Apply should hold back before a log entry of size bytes.
func (g *stage) delay(size int) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.pace.delay(size, g.backlog(), (maxSealed+1)*g.runBytes)
}

// commit makes what was written for a log entry visible.
func (g *stage) commit(meta store.Meta) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.meta = meta
}

// seal begins a run in which size bytes fit. The caller holds mu, and Apply is not
// writing to the old one.
func (g *stage) seal(size int) {
	var next *run
	if last := len(g.spare) - 1; last >= 0 && g.spare[last].fits(size) {
		next, g.spare = g.spare[last], g.spare[:last]
	} else {
		next = newRun(max(g.runBytes, size+recordAlign))
	}
	g.set.runs[0].meta = g.meta
	g.publish(append([]*run{next}, g.set.runs...))
	g.notify()
}

func (g *stage) backlog() (bytes int) {
	for _, r := range g.set.runs {
		bytes += r.used
	}
	return bytes
}

// oldest returns the sealed run to drain next; without one, wait is closed when there
// may be.
func (g *stage) oldest() (r *run, wait <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if last := len(g.set.runs) - 1; last > 0 {
		return g.set.runs[last], nil
	}
	return nil, g.changed
}

// drop takes the oldest run out of the set: Pebble has it.
func (g *stage) drop(r *run, took time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.drained = r.meta.Index
	g.pace.drained(r.used, took)
	last := len(g.set.runs) - 1
	g.publish(append([]*run(nil), g.set.runs[:last]...))
	g.notify()
}

// onDisk says that Pebble's files have everything up to index.
func (g *stage) onDisk(index uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.flushed = index
	g.notify()
}

// sealAll seals what was applied and returns its last index. When too many runs wait
// already it does not, and wait is closed when that may have changed. The caller keeps
// Apply from writing.
func (g *stage) sealAll() (index uint64, wait <-chan struct{}, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.set.runs[0].empty() {
		if len(g.set.runs) > maxSealed+1 {
			return 0, g.changed, g.failed
		}
		g.seal(0)
	}
	return g.meta.Index, nil, nil
}

// flushedTo reports whether Pebble's files have everything up to index; if not, wait
// is closed when they may.
func (g *stage) flushedTo(index uint64) (done bool, wait <-chan struct{}, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.flushed >= index, g.changed, g.failed
}
