// Package apply is the state machine of a group: what a committed command does
// to the group's state. It is pure. Given the same command and the same state it
// yields the same mutations and the same result on every replica, today and in
// a replay after a crash: it reads no clock, no configuration and no random
// number, ranges over no map, and does no I/O but reading the state.
//
// The order inside a batch is part of the contract: advance the clock, request
// ID, its age, deadline, conditions, write. The request ID comes before the
// conditions because a batch that committed has already changed the ETag: the
// retry of a lost answer must be told of its success, not of a mismatch.
//
// What a group remembers is described in rows.go, what it forgets in tick.go.
package apply

import (
	"fmt"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/store"
	"github.com/sheafdb/sheaf/internal/wire"
)

// MaxClockStepMS bounds how far one command may move the group's clock: one
// hour. A leader that is further behind its wall clock proposes Ticks first.
const MaxClockStepMS = 60 * 60 * 1000

// MaxAfterStep bounds how far `after` may lead the Lamport clock, so that one
// caller cannot exhaust it.
const MaxAfterStep = 1 << 32

// MaxFutureMS is how far in the future a request ID may be issued: one minute.
const MaxFutureMS = 60 * 1000

// State is what apply may read: the state before the command.
type State interface {
	Meta() store.Meta
	Get(space store.Space, key []byte) (value []byte, ok bool, err error)
	DueKeys(prefix []byte, visit func(key []byte) bool) error
}

// Result is what a command answers.
type Result struct {
	// Version is that of the committed batch, of the first attempt if Replayed.
	Version uint64
	// ETag is the sum of the batch's keys at Version.
	ETag wire.ETagSum
	// Replayed: the request ID was answered before; nothing was written.
	Replayed bool
	// Refused, when set, says why the batch was not written.
	Refused *sheaf.Error
	// More: a Tick left something due undone; propose another.
	More bool

	// Without are the entries of a bundle that a condition refused. The others have Version and
	// those after it, in their order, and ETag is not set.
	Without wire.Positions

	// What follows is of batches over several groups.

	// Outcome is what became of the command, if it is none of the above.
	Outcome Outcome
	// Attempt is that which was committed.
	Attempt uint64
	// Clock is the group's, after a Prepare.
	Clock uint64
	// NowMS is the group's time, when it was Late.
	NowMS uint64
	// Holder is who keeps a writer off.
	Holder wire.Holder
}

// Outcome is what a command of a batch over several groups comes to.
type Outcome byte

// The outcomes.
const (
	// Answered: the other fields of the Result say it, as for a batch of one group.
	Answered Outcome = iota
	// Ready: the part is prepared; ETag is the sum of its keys as they are, Clock the
	// group's.
	Ready
	// Conflict: Holder keeps writers off one of the keys.
	Conflict
	// Mismatch: a condition fails in this part; Refused says which, and ETag is as for Ready.
	// Nothing remembers it.
	Mismatch
	// Late: the deadline passed before the part was prepared.
	Late
	// Committed: at Version, by Attempt.
	Committed
	// Aborted: this attempt can never be committed.
	Aborted
	// Gone: too old to know. Of a Status it is the end of the attempt, of a Decide it is not.
	Gone
	// Undecided: it may still be committed.
	Undecided
)

// Apply computes what cmd, the log entry (index, term), does to state. It fills
// out, which it resets first, and returns the answer. out's slices may view cmd
// and are valid as long as cmd and out are. An error means that the state or the
// command cannot be understood: the caller must stop, not skip.
func Apply(cmd *wire.Command, index, term uint64, state State, out *store.Mutations) (Result, error) {
	out.Reset()
	out.Meta = state.Meta()
	out.Meta.Index, out.Meta.Term = index, term
	out.Meta.NowMS = advance(out.Meta.NowMS, cmd.NowMS)
	switch cmd.Kind {
	case wire.Fast:
		return applyFast(cmd, state, out)
	case wire.Tick:
		return applyTick(state, out)
	case wire.Prepare:
		return applyPrepare(cmd, state, out)
	case wire.Decide:
		return applyDecide(cmd, state, out)
	case wire.Resolve:
		return applyResolve(cmd, state, out)
	case wire.Done:
		return applyDone(cmd, state, out)
	case wire.Reject:
		return applyReject(cmd, state, out)
	case wire.Reserve:
		return applyReserve(cmd, state, out)
	case wire.Unreserve:
		return applyUnreserve(cmd, state, out)
	case wire.Join:
		return applyJoin(cmd, state, out)
	case wire.Leave:
		return applyLeave(cmd, state, out)
	case wire.Pause:
		return applyPause(cmd, state, out)
	case wire.Resume:
		return applyResume(cmd, state, out)
	case wire.Bundle:
		return applyBundle(cmd, state, out)
	}
	return Result{}, fmt.Errorf("apply log entry %d: command kind %d is unknown", index, cmd.Kind)
}

// advance moves the group's clock towards a stamp: never back, and by a bounded
// step, but for the very first.
func advance(last, stamp uint64) uint64 {
	if last == 0 {
		return stamp
	}
	return max(last, min(stamp, last+MaxClockStepMS))
}

func applyFast(cmd *wire.Command, state State, out *store.Mutations) (Result, error) {
	if refusal := CheckAfter(cmd.After, out.Meta.Clock); refusal != nil {
		return refuse(refusal)
	}
	row, known, err := lookup(cmd.RequestID, state)
	if err != nil {
		return Result{}, err
	}
	condition := wire.ConditionHash(cmd.Entries, cmd.IfMatch, cmd.IfNoneMatch)
	if known {
		if result, answered := Answer(cmd, row, condition); answered {
			return result, nil
		}
	}
	if refusal := checkAge(cmd, out.Meta, known); refusal != nil {
		return refuse(refusal)
	}
	if cmd.DeadlineMS != 0 && out.Meta.NowMS > cmd.DeadlineMS {
		return refuse(sheaf.Errorf(sheaf.NotProposed, "the deadline passed before the batch was applied"))
	}
	if !known {
		if refusal, err := makeRoom(cmd, state, out); err != nil || refusal != nil {
			return Result{Refused: refusal}, err
		}
	}
	if holder, held, err := holderOf(cmd, state, out.Meta); err != nil || held {
		return Result{Outcome: Conflict, Holder: holder}, err
	}
	refusal, _, err := checkConditions(cmd, state, out.Meta.NowMS)
	if err != nil {
		return Result{}, err
	}
	if refusal != nil {
		row.Refused = append(row.Refused, condition)
		remember(cmd, row, known, out)
		return refuse(refusal)
	}
	result := Result{Version: max(out.Meta.Clock, cmd.After) + 1}
	out.Meta.Clock = result.Version
	result.ETag = write(cmd.Entries, result.Version, out)
	row.Version = result.Version
	remember(cmd, row, known, out)
	return result, nil
}

// CheckAfter refuses an `after` that is too far beyond the Lamport clock.
func CheckAfter(after, clock uint64) *sheaf.Error {
	if after > clock && after-clock > MaxAfterStep {
		return sheaf.Invalid("after", "is %d, too far beyond the store's clock (%d): pass a version that a read or a write has answered", after, clock)
	}
	return nil
}

func refuse(refusal *sheaf.Error) (Result, error) { return Result{Refused: refusal}, nil }

// write adds the batch's keys to out and returns their ETag. It reads nothing:
// the version is larger than any that these keys have had.
func write(entries wire.Entries, version uint64, out *store.Mutations) (sum wire.ETagSum) {
	plainHead := out.Scratch(func(dst []byte) []byte { return wire.AppendRecordHead(dst, version, 0, nil) })
	for _, entry := range entries.All() {
		if entry.Delete {
			out.Delete(store.Data, entry.Key)
			out.Meta.Floor = max(out.Meta.Floor, version)
			continue
		}
		sum.AddKey(entry.Key, version)
		head := plainHead
		if entry.TTLMS != 0 || len(entry.TypeURL) > 0 {
			var expiry uint64
			if entry.TTLMS != 0 {
				expiry = out.Meta.NowMS + uint64(entry.TTLMS)
				out.Set(store.Due, out.Scratch(func(dst []byte) []byte { return appendDue(dst, dueKey, expiry, entry.Key) }), nil, nil)
			}
			head = out.Scratch(func(dst []byte) []byte { return wire.AppendRecordHead(dst, version, expiry, entry.TypeURL) })
		}
		out.Set(store.Data, entry.Key, head, entry.Value)
	}
	return sum
}

// etagOf is the ETag that a batch's keys have right after it committed.
func etagOf(entries wire.Entries, version uint64) (sum wire.ETagSum) {
	for _, entry := range entries.All() {
		if !entry.Delete {
			sum.AddKey(entry.Key, version)
		}
	}
	return sum
}
