package coordinator

import (
	"context"
	"sync"
	"time"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/apply"
)

// queue holds the EVENTUAL batches that were accepted and are not yet durable.
// One goroutine takes all there are and proposes them as one round, so many
// small batches become one write of the log. Every accepted batch is proposed, unless the
// process dies. Accepted has the other invariants, and what is decided.
type queue struct {
	cfg Config

	mu       sync.Mutex
	accepted Accepted
	ended    chan struct{} // closed when a round has ended
	closed   bool

	work chan struct{} // one token when something may wait
	done chan struct{}
	// life ends when close may wait no longer.
	life   context.Context
	giveUp context.CancelFunc
	// help finds out what became of attempts that hold keys of accepted batches.
	help func(ctx context.Context, met []Met)
}

func newQueue(cfg Config, help func(ctx context.Context, met []Met)) *queue {
	q := &queue{
		cfg: cfg, accepted: Accepted{Bytes: cfg.EventualBytes, Window: cfg.EventualWindow},
		ended: make(chan struct{}), work: make(chan struct{}, 1), done: make(chan struct{}), help: help,
	}
	q.life, q.giveUp = context.WithCancel(context.Background())
	go q.run()
	return q
}

// put accepts the parts of one batch, or says why not.
func (q *queue) put(ctx context.Context, parts []Share) error {
	for {
		admission, ended, closed := q.tryPut(parts)
		switch {
		case closed:
			return sheaf.Errorf(sheaf.Draining, "the node is shutting down")
		case admission == Full:
			return &sheaf.Error{
				Code: sheaf.RateLimited, RetryAfter: q.cfg.EventualWindow,
				Detail: "the queue of accepted batches is full (eventual.queue_bytes)",
			}
		case admission == Taken:
			q.wake()
			return nil
		}
		select {
		case <-ended:
		case <-ctx.Done():
			return &sheaf.Error{Code: sheaf.NotProposed, Err: ctx.Err()}
		}
	}
}

func (q *queue) tryPut(parts []Share) (admission Admission, ended <-chan struct{}, closed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return Full, nil, true
	}
	if admission = q.accepted.Put(time.Now(), parts); admission == Taken {
		// The caller is answered now: its deadline must not undo that.
		for _, part := range parts {
			part.Command.DeadlineMS = 0
			part.Command.Source.Hold() // until it is applied
		}
	}
	return admission, q.ended, false
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
		round, closed := q.accepted.Take(), q.closed
		q.mu.Unlock()
		switch {
		case round == nil && closed:
			applying.Wait()
			if q.empty() {
				return
			}
			q.wake() // something was put back
		case round == nil:
		case round.Again && !q.pause():
			q.lost(round.Shares, nil)
			q.logged(round)
			q.end(round)
			q.wake()
		default:
			// The next round is logged while this one is applied. How many are between
			// is the group's to bound.
			logged := make(chan struct{})
			applying.Go(func() {
				q.propose(round.Shares, logged)
				q.end(round)
			})
			<-logged
			q.logged(round)
			q.wake()
		}
	}
}

func (q *queue) empty() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.accepted.Empty()
}

// pause waits before something refused is tried again; false when there is no time left.
func (q *queue) pause() bool {
	select {
	case <-time.After(retryEvery):
		return true
	case <-q.life.Done():
		return false
	}
}

func (q *queue) logged(round *Round) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.accepted.Logged(round)
}

// end lets callers in who wait for older batches to be durable.
func (q *queue) end(round *Round) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.accepted.Ended(round)
	close(q.ended)
	q.ended = make(chan struct{})
}

func (q *queue) putBack(again []Share) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.accepted.PutBack(again)
	q.wake()
}

// retryEvery is the wait before a round that found the node full is tried again.
const retryEvery = 20 * time.Millisecond

// propose writes a round, each group's share by itself. It tries until all is in the log or
// the node has failed: the callers were told "accepted". logged is closed when the round is
// on disk, as far as it comes there.
func (q *queue) propose(round []Share, logged chan<- struct{}) {
	byGroup := make(map[uint64][]Share)
	for _, part := range round {
		byGroup[part.Group] = append(byGroup[part.Group], part)
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
func (q *queue) proposeTo(group Group, parts []Share, logged chan<- struct{}) {
	results, err := ProposeRound(q.life, group, parts, logged, q.pause)
	if err != nil {
		q.lost(parts, err)
		return
	}
	if again := q.refusedForNow(parts, results); len(again) > 0 {
		if met := InTheWay(parts, results); len(met) > 0 {
			q.help(q.life, met)
		}
		q.putBack(again)
	}
}

func (q *queue) lost(parts []Share, err error) {
	q.cfg.Logger.Error("accepted batches were lost", "batches", len(parts), "err", err)
	for _, part := range parts {
		part.Command.Source.Release()
	}
}

// refusedForNow returns the commands to try again and lets go of the others.
func (q *queue) refusedForNow(parts []Share, results []apply.Result) (again []Share) {
	for i, result := range results {
		switch {
		case RefusedForNow(result):
			again = append(again, parts[i])
			continue
		case result.Refused != nil:
			q.cfg.Logger.Warn("an accepted batch was refused", "request_id", parts[i].Command.RequestID, "err", result.Refused)
		}
		parts[i].Command.Source.Release()
	}
	return again
}

// close writes what was accepted and returns when it has, or when ctx ends.
func (q *queue) close(ctx context.Context) {
	defer q.giveUp()
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.wake()
	select {
	case <-q.done:
	case <-ctx.Done():
		q.giveUp()
		<-q.done
	}
}
