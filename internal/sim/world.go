package sim

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"time"
)

// Config is what a world is made of. Everything else follows from the seed.
type Config struct {
	Seed     uint64
	Groups   int
	Replicas int // that each group begins with
	Clients  int
	// Mixed: there are batches and reads of all levels, and scans; else all is LINEARIZABLE.
	Mixed bool
	// Batches and reads of each client, at least.
	Operations int
	// Faulty is how long the nemesis is at work.
	Faulty time.Duration
	// Mutant breaks the driver, None does not.
	Mutant Mutant
}

// World is one simulated cluster.
type World struct {
	cfg   Config
	rng   *rand.Rand
	now   time.Duration
	queue events
	count uint64 // events so far

	groups     []*group // by ID - 1
	net        network
	snapshots  []*state
	doors      []*door
	lives      []*life // of all doors
	clients    []*client
	operations []*operation
	// decided is when a batch over several groups was, by its request ID.
	decided map[string]time.Duration
	copies  []copied
	stats   Stats
	// calm: the nemesis is done, and nothing is lost any more.
	calm bool
	err  error
}

// Stats tell what a run was made of.
type Stats struct {
	Operations, Answered                                             int
	Crashes, Cuts, Pauses, ClockJumps, Transfers, Changes, Snapshots int
	Dropped, Doubled                                                 int
	// Coordinators that died at a call.
	Coordinators int
	// Accepted batches that found a key held, and those that crashes have lost.
	PutBack, Lost int
	// Images of all groups that were taken.
	Images  int
	Entries int
}

// event is something that happens at a time.
type event struct {
	at  time.Duration
	seq uint64 // the order of events at the same time
	do  func()
}

type events []event

func (q events) Len() int { return len(q) }
func (q events) Less(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].seq < q[j].seq
}
func (q events) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *events) Push(x any)   { *q = append(*q, x.(event)) }
func (q *events) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}

// after makes something happen later.
func (w *World) after(delay time.Duration, do func()) {
	w.count++
	heap.Push(&w.queue, event{w.now + delay, w.count, do})
}

// between returns a random time.
func (w *World) between(low, high time.Duration) time.Duration {
	return low + time.Duration(w.rng.Int64N(int64(high-low)+1))
}

// chance is true once in n times.
func (w *World) chance(n int) bool { return w.rng.IntN(n) == 0 }

// fail ends the run. The first reason counts.
func (w *World) fail(format string, args ...any) {
	if w.err == nil {
		w.err = fmt.Errorf("at %v: "+format, append([]any{w.now}, args...)...)
	}
}

const (
	// restTime is how long a world without faults may take to come to rest.
	restTime = 60 * time.Second
	// maxEvents ends a run that goes in circles.
	maxEvents = 5_000_000
)

// Run runs a world to its end and returns what went wrong in it.
func Run(cfg Config) (Stats, error) {
	w := &World{cfg: cfg, rng: rand.New(rand.NewPCG(cfg.Seed, 1)), decided: make(map[string]time.Duration)}
	w.net.begin()
	for i := range cfg.Groups {
		g := &group{
			id: uint64(i + 1), log: make(map[uint64]*entry), parts: make(map[string]*written),
			history: make(map[string][]change), places: make(map[placeOf]int),
		}
		w.groups = append(w.groups, g)
		for range cfg.Replicas {
			w.addNode(g)
		}
		w.bootstrap(g)
	}
	for range doors {
		w.addDoor()
	}
	for i := range cfg.Clients {
		w.addClient(i)
	}
	w.after(w.between(0, time.Second), w.nemesis)
	for range 2 {
		w.after(w.between(0, 3*time.Second), w.takeImages)
	}
	w.until(cfg.Faulty, func() bool { return false })
	w.heal()
	w.until(w.now+restTime, w.atRest)
	if w.err == nil && !w.atRest() {
		w.fail("the cluster did not come to rest in %v: %s", restTime, w.describe())
	}
	if w.err == nil {
		w.check()
	}
	return w.stats, w.err
}

// happen lets an event happen. raft panics when its state contradicts itself.
func (w *World) happen(e event) {
	defer func() {
		if p := recover(); p != nil {
			w.fail("panic: %v\n%s", p, debug.Stack())
		}
	}()
	e.do()
}

// until lets events happen until a time, or until done.
func (w *World) until(end time.Duration, done func() bool) {
	for w.err == nil && len(w.queue) > 0 && w.queue[0].at <= end && !done() {
		e := heap.Pop(&w.queue).(event)
		w.now = e.at
		w.happen(e)
		if w.count > maxEvents {
			w.fail("%d events: the world goes in circles", w.count)
		}
	}
	if w.err == nil {
		w.now = max(w.now, end)
	}
}
