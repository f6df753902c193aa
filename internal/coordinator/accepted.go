package coordinator

import (
	"context"
	"errors"
	"time"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/apply"
	"github.com/sheafdb/sheaf/internal/wire"
)

// Accepted is the account of the EVENTUAL batches that a node has accepted and that are not
// durable yet. It decides who is let in and what is proposed next, and knows no clock and no
// goroutine, so that it runs in a simulator as it runs in a node. Invariants:
//
//   - At most Bytes are queued or on their way, but for a single larger batch.
//   - The batches that a crash would lose were accepted within Window of each other: when
//     the oldest is older than that, nothing is let in.
//
// It is not safe for concurrent use.
type Accepted struct {
	Bytes  int
	Window time.Duration

	waiting []Share
	bytes   int       // of waiting and of the round on its way
	oldest  time.Time // acceptance of the oldest batch not yet durable
	refused bool      // the first of waiting were put back
}

// Admission is what becomes of a batch at the door of the queue.
type Admission int

// The admissions.
const (
	Taken Admission = iota // it is accepted
	Full                   // there is no room
	Later                  // something older is not durable yet: ask again when a round has landed
)

// Put lets the parts of one batch in, or not.
func (a *Accepted) Put(now time.Time, parts []Share) Admission {
	size := sizeOf(parts)
	switch {
	case a.bytes > 0 && a.bytes+size > a.Bytes:
		return Full
	case a.bytes > 0 && now.Sub(a.oldest) > a.Window:
		return Later
	case a.bytes == 0:
		a.oldest = now
	}
	a.waiting = append(a.waiting, parts...)
	a.bytes += size
	return Taken
}

// Take returns all that waits, as the next round. Whatever is accepted from here on is younger.
// refused: some of it was put back, and a while should pass before it is proposed.
func (a *Accepted) Take() (round []Share, refused bool) {
	round, refused = a.waiting, a.refused
	a.waiting, a.refused = nil, false
	return round, refused
}

// Landed counts a round as durable that was taken at a time.
func (a *Accepted) Landed(round []Share, taken time.Time) {
	a.bytes -= sizeOf(round)
	if !a.refused { // what was put back is older than all
		a.oldest = taken
	}
}

// PutBack queues again, before all others, what was logged and found no room in the
// state. It is not durable, so it counts as queued, and nothing is accepted beside it.
func (a *Accepted) PutBack(again []Share) {
	a.waiting = append(again, a.waiting...)
	a.bytes += sizeOf(again)
	a.oldest, a.refused = time.Time{}, true
}

// Waiting is how many parts are not on their way.
func (a *Accepted) Waiting() int { return len(a.waiting) }

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
// there is no time left, or the node has failed.
func ProposeRound(to Proposer, parts []Share, logged chan<- struct{}, pause func() bool) ([]apply.Result, error) {
	cmds := make([]*wire.Command, len(parts))
	for i, part := range parts {
		cmds[i] = part.Command
	}
	for {
		results, err := to.ProposeAll(context.Background(), cmds, logged)
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
