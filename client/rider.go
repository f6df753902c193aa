package client

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/sheafdb/sheaf"
)

// bundle is calls that are sent together.
type bundle struct {
	// ctx has the first caller's values, and giveUp ends it.
	ctx    context.Context
	giveUp context.CancelFunc
	since  time.Time
	// members are in the order of their bytes; nil is one that has its answer.
	members []*rider
	// raw are the encoded entries, or keys, of the members.
	raw *[]byte
	// after is the largest that a member has asked for.
	after uint64
	// deadline is the latest of those that members have; unbounded says that one has none.
	deadline  time.Time
	unbounded bool
	// taken, which the lane's mu protects: it is on its way.
	taken bool

	// What follows is of a bundle that is taken.

	// waiting are the members whose callers still wait; without any the bundle is given up.
	waiting atomic.Int32
	// id is the request ID of writes, as soon as there is one.
	id       atomic.Pointer[sheaf.RequestID]
	attempts atomic.Int32
}

// rider is one call in a bundle.
type rider struct {
	op string
	// bundle, place in its members, and from where to where in raw the call's bytes are.
	bundle           *bundle
	place, from, end int
	// timer ends the wait of a caller without a deadline.
	timer *time.Timer

	// done gets one token when the answer is there. Who has left does not look at it.
	done   chan struct{}
	result Result
	item   sheaf.Item
	err    error
	// decided: a node has told what became of the write, for good.
	decided bool
	// counted out: it is not among the bundle's waiting any more.
	out atomic.Bool
}

// newRider is for a pool of riders. Each Client has one: a channel of a test's bubble (package
// synctest) must not come up in another.
func newRider() any {
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	return &rider{done: make(chan struct{}, 1), timer: timer}
}

// drop is the end of a bundle that was not sent.
func (b *bundle) drop() {
	b.giveUp()
	requests.Put(b.raw)
}

// leave counts a member out, unless that was done: its caller waits no more, or has his answer
// before the others.
func (b *bundle) leave(r *rider) bool {
	if !r.out.CompareAndSwap(false, true) {
		return false
	}
	if b.waiting.Add(-1) == 0 {
		b.giveUp()
	}
	return true
}

// fail gives all members an error of their own, but for those who know more.
func (b *bundle) fail(failure *sheaf.Error) {
	for _, r := range b.members {
		if r != nil && !r.decided {
			e := *failure
			e.Op = r.op
			r.err = &e
		}
	}
}

// answer gives all members their answers. The bundle must not touch them any more.
func (b *bundle) answer() {
	for _, r := range b.members {
		if r != nil {
			r.done <- struct{}{}
		}
	}
}

// answerEarly gives those that are decided their answers, while the others are tried again.
func (b *bundle) answerEarly() {
	for i, r := range b.members {
		if r != nil && r.decided {
			b.members[i] = nil
			if b.leave(r) {
				r.done <- struct{}{}
			}
		}
	}
}
