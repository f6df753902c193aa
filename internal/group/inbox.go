package group

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/admission"
	"github.com/sheafdb/sheaf/internal/apply"
	"github.com/sheafdb/sheaf/internal/wire"
)

// maxWaiting bounds the commands that wait for the log; their bytes are bounded
// by admission.
const maxWaiting = 1 << 16

// Timing is how long a command spent where, for its caller.
type Timing struct{ Log, Apply time.Duration }

// proposal is a set of commands of one caller on their way.
type proposal struct {
	cmds []*wire.Command
	// state goes from waiting to taken by runLog or to abandoned by the caller,
	// once: it decides whether a caller who gave up may say "not proposed".
	state atomic.Int32
	// bytesOwner says who counts the commands' bytes as in flight.
	bytesOwner atomic.Int32
	gate       *admission.Gate
	// done gets one token after results, err and timing were written and nothing here
	// touches the proposal any more.
	done    chan struct{}
	results []apply.Result
	err     error
	timing  Timing
	queued  time.Time
	logged  time.Time
	// onDisk, if not nil, is closed at that time.
	onDisk chan<- struct{}
}

const (
	waiting int32 = iota
	taken
	abandoned
)

const (
	ownedByCaller int32 = iota
	ownedByGroup
	dropped
)

// proposals are those whose callers have taken what was in done.
var proposals = sync.Pool{New: func() any { return &proposal{done: make(chan struct{}, 1)} }}

// newProposal holds the commands' sources until drop.
func (g *Group) newProposal(cmds ...*wire.Command) *proposal {
	for _, cmd := range cmds {
		cmd.Source.Hold()
	}
	p := proposals.Get().(*proposal)
	p.cmds, p.gate, p.queued = append(p.cmds, cmds...), g.cfg.Gate, time.Now()
	return p
}

// reuse is for who has taken what was in done, and copied the results.
func (p *proposal) reuse() {
	clear(p.cmds)
	clear(p.results)
	*p = proposal{done: p.done, cmds: p.cmds[:0], results: p.results[:0]}
	proposals.Put(p)
}

// finish is the last that the group does with a proposal.
func (p *proposal) finish(err error) {
	p.err = err
	p.drop()
	p.done <- struct{}{}
}

// drop is called when nothing here reads the commands' bytes any more. If the
// caller has gone, it is the one who still counts them.
func (p *proposal) drop() {
	for _, cmd := range p.cmds {
		cmd.Source.Release()
	}
	if !p.bytesOwner.CompareAndSwap(ownedByCaller, dropped) {
		p.gate.Release(p.size())
	}
}

// leave is called by a caller who gives up: from here until drop, the commands'
// bytes are in memory without anyone waiting for them, and are counted here.
func (p *proposal) leave() {
	p.gate.Hold(p.size())
	if !p.bytesOwner.CompareAndSwap(ownedByCaller, ownedByGroup) {
		p.gate.Release(p.size()) // dropped in the meantime
	}
}

func (p *proposal) size() (n int64) {
	for _, cmd := range p.cmds {
		n += int64(len(cmd.Entries.Raw()))
	}
	return n
}

// inbox is where proposals wait for the log to be free.
type inbox struct {
	mu      sync.Mutex
	waiting []*proposal
	count   int // commands in waiting
	closed  bool
	signal  chan struct{} // holds one token when waiting may not be empty
}

// put adds a proposal, or says why it cannot.
func (in *inbox) put(p *proposal) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.closed {
		return sheaf.Errorf(sheaf.Draining, "the node is shutting down")
	}
	if in.count >= maxWaiting {
		return &sheaf.Error{Code: sheaf.RateLimited, Detail: "too many batches wait for the log", RetryAfter: 100 * time.Millisecond}
	}
	in.waiting = append(in.waiting, p)
	in.count += len(p.cmds)
	in.wake()
	return nil
}

func (in *inbox) wake() {
	select {
	case in.signal <- struct{}{}:
	default:
	}
}

// take waits for proposals and returns all there are; it swaps in spare as the
// next waiting list. ok is false when the inbox is closed and empty.
func (in *inbox) take(spare []*proposal) (batch []*proposal, ok bool) {
	for {
		in.mu.Lock()
		if len(in.waiting) > 0 {
			batch, in.waiting, in.count = in.waiting, spare[:0], 0
			in.mu.Unlock()
			return batch, true
		}
		closed := in.closed
		in.mu.Unlock()
		if closed {
			return nil, false
		}
		<-in.signal
	}
}

func (in *inbox) empty() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return len(in.waiting) == 0
}

func (in *inbox) close() {
	in.mu.Lock()
	in.closed = true
	in.mu.Unlock()
	in.wake()
}

// propose hands a proposal to runLog and waits until it has its results, or an error in
// it. After an error of propose itself the proposal is still the group's.
func (g *Group) propose(ctx context.Context, p *proposal) error {
	if err := ctx.Err(); err != nil {
		p.drop()
		return notProposed(err)
	}
	if err := g.inbox.put(p); err != nil {
		p.drop()
		return err
	}
	select {
	case <-p.done:
	case <-g.failed:
		return sheaf.Errorf(sheaf.OutcomeUnknown, "the node failed and is about to end")
	case <-ctx.Done():
		if p.state.CompareAndSwap(waiting, abandoned) {
			p.leave() // until runLog comes across it
			return notProposed(ctx.Err())
		}
		// Taken: it will be applied or the process ends. An answer that is
		// already there is better than "unknown".
		select {
		case <-p.done:
		default:
			p.leave()
			return &sheaf.Error{Code: sheaf.OutcomeUnknown, Err: ctx.Err(), Detail: "the batch was in the log's hands when the caller gave up"}
		}
	}
	return nil
}

func notProposed(err error) error {
	return &sheaf.Error{Code: sheaf.NotProposed, Err: err, Detail: "nothing was written by this call"}
}
