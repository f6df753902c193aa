package coordinator

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/apply"
	"github.com/sheafdb/sheaf/internal/wire"
)

// queue holds the EVENTUAL batches that were accepted and are not yet durable.
// One goroutine takes all there are and proposes them as one round, so many
// small batches become one write of the log. Invariants:
//
//   - At most EventualBytes are queued or on their way.
//   - The batches that a crash would lose were accepted within EventualWindow
//     of each other: when the oldest is older than that, put waits.
//   - Every accepted batch is proposed, unless the process dies.
type queue struct {
	cfg Config

	mu      sync.Mutex
	waiting []share
	bytes   int       // of waiting and of the round on its way
	oldest  time.Time // acceptance of the oldest batch not yet durable
	landed  chan struct{}
	closed  bool
	refused bool // the first of waiting were put back

	work   chan struct{} // one token when waiting may not be empty
	done   chan struct{}
	giveUp chan struct{} // closed when close may wait no longer
}

func newQueue(cfg Config) *queue {
	q := &queue{cfg: cfg, landed: make(chan struct{}), work: make(chan struct{}, 1), done: make(chan struct{}), giveUp: make(chan struct{})}
	go q.run()
	return q
}

// put accepts the parts of one batch, or says why not.
func (q *queue) put(ctx context.Context, parts []share) error {
	size := sizeOf(parts)
	for {
		q.mu.Lock()
		switch now := time.Now(); {
		case q.closed:
			q.mu.Unlock()
			return sheaf.Errorf(sheaf.Draining, "the node is shutting down")
		case q.bytes > 0 && q.bytes+size > q.cfg.EventualBytes:
			q.mu.Unlock()
			return &sheaf.Error{
				Code: sheaf.RateLimited, RetryAfter: q.cfg.EventualWindow,
				Detail: "the queue of accepted batches is full (eventual.queue_bytes)",
			}
		case q.bytes > 0 && now.Sub(q.oldest) > q.cfg.EventualWindow:
			landed := q.landed
			q.mu.Unlock()
			select {
			case <-landed:
			case <-ctx.Done():
				return &sheaf.Error{Code: sheaf.NotProposed, Err: ctx.Err()}
			}
		default:
			if q.bytes == 0 {
				q.oldest = now
			}
			// The caller is answered now: its deadline must not undo that.
			for _, part := range parts {
				part.cmd.DeadlineMS = 0
				part.cmd.Source.Hold() // until it is applied
			}
			q.waiting = append(q.waiting, parts...)
			q.bytes += size
			q.mu.Unlock()
			q.wake()
			return nil
		}
	}
}

func (q *queue) wake() {
	select {
	case q.work <- struct{}{}:
	default:
	}
}

func (q *queue) run() {
	defer close(q.done)
	var applying sync.WaitGroup
	defer applying.Wait()
	for range q.work {
		q.mu.Lock()
		round, closed, refused := q.waiting, q.closed, q.refused
		q.waiting, q.refused = nil, false
		taken := time.Now() // whatever is accepted from here on is younger
		q.mu.Unlock()
		switch {
		case len(round) == 0 && closed:
			applying.Wait()
			if q.empty() {
				return
			}
			q.wake() // something was put back
		case len(round) == 0:
		case refused && !q.pause():
			q.lost(round, nil)
			q.land(round, taken)
			q.wake()
		default:
			// The next round is logged while this one is applied. How many are between
			// is the group's to bound.
			logged := make(chan struct{})
			applying.Go(func() { q.propose(round, logged) })
			<-logged
			q.land(round, taken)
			q.wake()
		}
	}
}

func (q *queue) empty() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting) == 0
}

// pause waits before something refused is tried again; false when there is no time left.
func (q *queue) pause() bool {
	select {
	case <-time.After(retryEvery):
		return true
	case <-q.giveUp:
		return false
	}
}

// land counts a round as durable and lets waiting callers in.
func (q *queue) land(round []share, taken time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.bytes -= sizeOf(round)
	if !q.refused { // what was put back is older than all
		q.oldest = taken
	}
	close(q.landed)
	q.landed = make(chan struct{})
}

// putBack queues again, before all others, what was logged and found no room in the
// state. It is not durable, so it counts as queued, and nothing is accepted beside it.
func (q *queue) putBack(again []share) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = append(again, q.waiting...)
	q.bytes += sizeOf(again)
	q.oldest, q.refused = time.Time{}, true
	q.wake()
}

// retryEvery is the wait before a round that found the node full is tried again.
const retryEvery = 20 * time.Millisecond

// propose writes a round, each group's share by itself. It tries until all is in the log or
// the node has failed: the callers were told "accepted". logged is closed when the round is
// on disk, as far as it comes there.
func (q *queue) propose(round []share, logged chan<- struct{}) {
	byGroup := make(map[uint64][]share)
	for _, part := range round {
		byGroup[part.group] = append(byGroup[part.group], part)
	}
	var onDisk, applied sync.WaitGroup
	for group, parts := range byGroup {
		committed, ended := make(chan struct{}), make(chan struct{})
		applied.Go(func() {
			defer close(ended)
			q.proposeTo(q.cfg.Groups[group-1], parts, committed)
		})
		onDisk.Go(func() {
			select {
			case <-committed:
			case <-ended:
			}
		})
	}
	onDisk.Wait()
	close(logged)
	applied.Wait()
}

// proposeTo writes what a round has for one group.
func (q *queue) proposeTo(group Group, parts []share, logged chan<- struct{}) {
	cmds := make([]*wire.Command, len(parts))
	for i, part := range parts {
		cmds[i] = part.cmd
	}
	for {
		results, err := group.ProposeAll(context.Background(), cmds, logged)
		switch {
		case err == nil:
			if again := q.refusedForNow(parts, results); len(again) > 0 {
				q.putBack(again)
			}
			return
		case worthAnother(err) && q.pause():
			// An attempt that is given up may still be on its way: the next has its own.
			for i := range cmds {
				attempt := *cmds[i]
				cmds[i] = &attempt
			}
			continue
		}
		q.lost(parts, err)
		return
	}
}

// worthAnother says whether a round that failed may be proposed once more. Every accepted batch has a
// request ID, so that also one whose outcome is unknown is applied once.
func worthAnother(err error) bool {
	for _, code := range []sheaf.Code{sheaf.RateLimited, sheaf.NoSpace, sheaf.NotLeader, sheaf.NotProposed, sheaf.OutcomeUnknown} {
		if errors.Is(err, code) {
			return true
		}
	}
	return false
}

func (q *queue) lost(parts []share, err error) {
	q.cfg.Logger.Error("accepted batches were lost", "batches", len(parts), "err", err)
	for _, part := range parts {
		part.cmd.Source.Release()
	}
}

// refusedForNow returns the commands to try again: those that were refused only because the
// table of request IDs is full, or because another batch holds one of the keys. It lets go
// of the others.
func (q *queue) refusedForNow(parts []share, results []apply.Result) (again []share) {
	for i, result := range results {
		switch {
		case result.Outcome == apply.Conflict, result.Refused != nil && result.Refused.Code == sheaf.RateLimited:
			again = append(again, parts[i])
			continue
		case result.Refused != nil:
			q.cfg.Logger.Warn("an accepted batch was refused", "request_id", parts[i].cmd.RequestID, "err", result.Refused)
		}
		parts[i].cmd.Source.Release()
	}
	return again
}

func sizeOf(parts []share) (bytes int) {
	for _, part := range parts {
		bytes += len(part.cmd.Entries.Raw())
	}
	return bytes
}

// close writes what was accepted and returns when it has, or when ctx ends.
func (q *queue) close(ctx context.Context) {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.wake()
	select {
	case <-q.done:
	case <-ctx.Done():
		close(q.giveUp)
		<-q.done
	}
}
