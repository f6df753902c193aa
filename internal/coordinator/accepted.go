package coordinator

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/apply"
	"github.com/sheafdb/sheaf/internal/wire"
)

// Accepted is the account of the EVENTUAL batches that a node has accepted and that are not
// durable yet. It decides who is let in and what is proposed next, and knows no clock and no
// goroutine, so that it runs in a simulator as it runs in a node. Invariants:
//
//   - At most Bytes are queued or on their way to the log, but for a single larger batch.
//   - The batches that a crash would lose were accepted within Window of each other: when
//     the oldest is older than that, nothing is let in.
//
// That a round is in the log does not say that its batches are durable: one that finds a key
// held was logged in vain. Only what came of it when it was applied tells, so a round counts
// until then, though the next may be proposed before.
//
// It is not safe for concurrent use.
type Accepted struct {
	Bytes  int
	Window time.Duration

	waiting []Share
	since   time.Time // acceptance of the first of waiting
	refused bool      // the first of waiting were put back
	bytes   int       // of waiting and of rounds that are not logged
	rounds  []*Round
}

// Round is what is proposed together.
type Round struct {
	Shares []Share
	// Again: some of it was put back, and a while should pass before it is proposed.
	Again bool
	since time.Time
}

// Admission is what becomes of a batch at the door of the queue.
type Admission int

// The admissions.
const (
	Taken Admission = iota // it is accepted
	Full                   // there is no room
	Later                  // something older is not durable yet: ask again when a round has ended
)

// Put lets the parts of one batch in, or not.
func (a *Accepted) Put(now time.Time, parts []Share) Admission {
	size := sizeOf(parts)
	switch {
	case a.bytes > 0 && a.bytes+size > a.Bytes:
		return Full
	case now.Sub(a.oldest(now)) > a.Window:
		return Later
	}
	if len(a.waiting) == 0 {
		a.since = now
	}
	a.waiting = append(a.waiting, parts...)
	a.bytes += size
	return Taken
}

// oldest is the acceptance of the oldest batch not known to be durable, now if there is none.
func (a *Accepted) oldest(now time.Time) time.Time {
	oldest := now
	if len(a.waiting) > 0 {
		oldest = a.since
	}
	for _, round := range a.rounds {
		if round.since.Before(oldest) {
			oldest = round.since
		}
	}
	return oldest
}

// Take returns all that waits, as the next round, and nil if nothing does.
func (a *Accepted) Take() *Round {
	if len(a.waiting) == 0 {
		return nil
	}
	round := &Round{Shares: a.waiting, Again: a.refused, since: a.since}
	a.waiting, a.refused = nil, false
	a.rounds = append(a.rounds, round)
	return round
}

// Logged makes room for as much as a round had, which is in the log or will never be.
func (a *Accepted) Logged(round *Round) { a.bytes -= sizeOf(round.Shares) }

// PutBack queues again, before all others, what was logged and found no room in the
// state, or a key held. It is not durable, so it counts as queued, and nothing is accepted
// beside it.
func (a *Accepted) PutBack(again []Share) {
	a.waiting = append(again, a.waiting...)
	a.bytes += sizeOf(again)
	a.since, a.refused = time.Time{}, true
}

// Ended says that what a round came to is known: what is not durable of it was put back.
func (a *Accepted) Ended(round *Round) {
	a.rounds = slices.DeleteFunc(a.rounds, func(r *Round) bool { return r == round })
}

// Empty says that nothing waits and nothing is on its way.
func (a *Accepted) Empty() bool { return len(a.waiting) == 0 && len(a.rounds) == 0 }

func sizeOf(parts []Share) (bytes int) {
	for _, part := range parts {
		bytes += len(part.Command.Entries.Raw())
	}
	return bytes
}

// Proposer takes many commands to the leader of a group. See Group.ProposeAll.
type Proposer interface {
	ProposeAll(ctx context.Context, cmds []*wire.Command, logged chan<- struct{}) ([]apply.Result, error)
}

// ProposeRound writes what a round has for one group, until it is in the log, pause says that
// there is no time left, the node has failed, or ctx has ended: what is on its way then may be
// written or not.
func ProposeRound(ctx context.Context, to Proposer, parts []Share, logged chan<- struct{}, pause func() bool) ([]apply.Result, error) {
	cmds := make([]*wire.Command, len(parts))
	for i, part := range parts {
		cmds[i] = part.Command
	}
	for {
		results, err := to.ProposeAll(ctx, cmds, logged)
		if err == nil || !worthAnother(err) || !pause() {
			return results, err
		}
		// An attempt that is given up may still be on its way: the next has its own.
		for i := range cmds {
			attempt := *cmds[i]
			cmds[i] = &attempt
		}
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

// RefusedForNow says whether an accepted command is to be tried again: it was refused only
// because the table of request IDs is full, or because another batch holds one of the keys.
func RefusedForNow(result apply.Result) bool {
	return result.Outcome == apply.Conflict || result.Refused != nil && result.Refused.Code == sheaf.RateLimited
}

// InTheWay are the attempts that hold keys of a round's parts. Somebody must ask what became of
// them: nothing is accepted until these parts are durable.
func InTheWay(parts []Share, results []apply.Result) (met []Met) {
	for i, result := range results {
		holder := result.Holder
		if result.Outcome != apply.Conflict || holder.Attempt == 0 {
			continue
		}
		group := parts[i].Group
		if !slices.ContainsFunc(met, func(m Met) bool {
			return m.Holder.Attempt == holder.Attempt && m.Holder.RequestID == holder.RequestID && slices.Contains(m.Groups, group)
		}) {
			met = append(met, Met{Holder: holder, Groups: []uint64{group}})
		}
	}
	return met
}
