package client

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sheafdb/sheaf"
)

// A lane carries the single calls of one kind (writes or reads), level and route. While few are
// on their way each goes by itself and at once. What comes while maxFlying are under way is
// gathered, and goes as a bundle when one of them is back or the bundle is full: nothing waits
// for company, and whoever has to wait has it. Invariants:
//
//   - A call that waits has left its bytes in its bundle, so the caller's slices are his again
//     when the call returns, whatever becomes of the bundle.
//   - A bundle that is taken is not added to or taken from any more.
//   - Calls that take long hold up no others: after lanePatience those that wait go too.
//
// There is one bundle that waits, and it is bounded; how many are on their way is bounded by the
// callers, each of whom waits for one.
type lane struct {
	// send carries a bundle and answers its members.
	send func(*bundle)
	// running counts the lane's goroutines.
	running *sync.WaitGroup
	// riders are used again.
	riders *sync.Pool
	// most bounds the members of a bundle; 0 is maxBundleEntries.
	most atomic.Int32

	mu     sync.Mutex
	closed bool
	flying int
	// open is the bundle that waits, or nil.
	open *bundle
	// timer looks after what waits; watched says that it is set.
	timer   *time.Timer
	watched bool
}

const (
	// maxFlying is from how many calls and bundles under way on others are gathered. With more
	// the bundles are smaller, which costs more than what overlaps saves.
	maxFlying = 1
	// idleYields is how often a bundle that is back lets others run without a call joining the
	// next, before that goes: some 10 µs. The runtime may take one yield's goroutine up again
	// before those it was to let run.
	idleYields = 64
	// lanePatience is how long a call waits for those under way.
	lanePatience = 100 * time.Millisecond
	// A bundle is full at either of these.
	maxBundleEntries = 1024
	maxBundleBytes   = 1 << 20
	// maxRiderBytes is the largest call that is gathered: a larger one would hold up the others.
	maxRiderBytes = 64 << 10
	// A bundle begins with room for these.
	firstBundleEntries = 64
	firstBundleBytes   = 16 << 10
)

// reuse is for a rider whose caller has got the answer.
func (l *lane) reuse(r *rider) {
	r.op, r.bundle, r.result, r.item, r.err, r.decided = "", nil, Result{}, sheaf.Item{}, nil, false
	r.out.Store(false)
	l.riders.Put(r)
}

// enter begins a call. A nil rider is for who goes by himself, and calls leave when he is back;
// any other waits in a bundle. encode appends the call's bytes.
func (l *lane) enter(ctx context.Context, op string, after uint64, encode func(dst []byte) []byte) *rider {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.flying < maxFlying {
		l.flying++
		return nil
	}
	b := l.open
	if b == nil {
		b = &bundle{since: time.Now(), raw: requests.Get(firstBundleBytes), members: make([]*rider, 0, firstBundleEntries)}
		b.ctx, b.giveUp = context.WithCancel(context.WithoutCancel(ctx))
		*b.raw = (*b.raw)[:0]
		l.open = b
		l.watch()
	}
	r := l.riders.Get().(*rider)
	r.op, r.bundle, r.place, r.from = op, b, len(b.members), len(*b.raw)
	*b.raw = encode(*b.raw)
	r.end = len(*b.raw)
	b.members = append(b.members, r)
	b.after = max(b.after, after)
	if deadline, bounded := ctx.Deadline(); !bounded {
		b.unbounded = true
	} else if deadline.After(b.deadline) {
		b.deadline = deadline
	}
	most := int(l.most.Load())
	if most == 0 {
		most = maxBundleEntries
	}
	if len(b.members) >= most || len(*b.raw) >= maxBundleBytes {
		l.start()
	}
	return r
}

// leave ends a call that went by itself.
func (l *lane) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.flying--; l.open != nil && l.flying < maxFlying {
		l.start()
	}
}

// start sends the bundle that waits. mu is held.
func (l *lane) start() {
	b := l.take()
	l.running.Add(1)
	go l.run(b)
}

// take takes the bundle that waits. mu is held.
func (l *lane) take() *bundle {
	b := l.open
	l.open = nil
	b.taken = true
	b.waiting.Store(int32(len(b.members)))
	l.flying++
	return b
}

// run carries a bundle, and then those that wait.
func (l *lane) run(b *bundle) {
	defer l.running.Done()
	for b != nil {
		members := len(b.members)
		l.send(b)
		l.letJoin(members)
		b = l.next()
	}
}

// letJoin lets the callers of a bundle that is back run first, who may have their next calls in
// the next.
func (l *lane) letJoin(members int) {
	joined := 0
	for idle := 0; idle < idleYields; idle++ {
		runtime.Gosched()
		l.mu.Lock()
		now := 0
		if l.open != nil {
			now = len(l.open.members)
		}
		l.mu.Unlock()
		if now >= members {
			return
		}
		if now > joined {
			joined, idle = now, 0
		}
	}
}

// next says that a bundle is back, and takes the one that waits if it may go.
func (l *lane) next() *bundle {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.flying--; l.open == nil || l.flying >= maxFlying {
		return nil
	}
	return l.take()
}

// watch sees to it that what waits goes in time. mu is held.
func (l *lane) watch() {
	switch {
	case l.watched || l.open == nil:
		return
	case l.timer == nil:
		l.timer = time.AfterFunc(lanePatience, l.look)
	default:
		l.timer.Reset(lanePatience)
	}
	l.watched = true
}

// look sends the bundle that waits if it has waited for too long.
func (l *lane) look() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.watched = false
	if l.open != nil && time.Since(l.open.since) >= lanePatience {
		l.start()
	}
	l.watch()
}

// withdraw takes a call out of its bundle; false if that is on its way.
func (l *lane) withdraw(r *rider) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := r.bundle
	if b.taken {
		return false
	}
	*b.raw = slices.Delete(*b.raw, r.from, r.end)
	b.members = slices.Delete(b.members, r.place, r.place+1)
	for _, behind := range b.members[r.place:] {
		behind.place--
		behind.from -= r.end - r.from
		behind.end -= r.end - r.from
	}
	if len(b.members) == 0 {
		l.open = nil
		b.drop()
	}
	return true
}

// close gathers no more, and returns the bundle that was not sent.
func (l *lane) close() *bundle {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.open
	l.open, l.closed = nil, true
	if b != nil {
		b.taken = true
	}
	if l.timer != nil {
		l.timer.Stop()
	}
	return b
}
