package apply

import (
	"github.com/sheafdb/sheaf/internal/store"
	"github.com/sheafdb/sheaf/internal/wire"
)

// applyPrepare checks a part of a batch like a batch of its own, and takes its keys. What
// depends on all parts, an ETag, is the coordinator's to compare: the answer has this part's
// sum.
func applyPrepare(cmd *wire.Command, state State, out *store.Mutations) (Result, error) {
	if refusal := CheckAfter(cmd.After, out.Meta.Clock); refusal != nil {
		return refuse(refusal)
	}
	row, known, err := lookup(cmd.RequestID, state)
	if err != nil {
		return Result{}, err
	}
	if known {
		if result, answered := Answer(cmd, row, cmd.Condition); answered {
			return result, nil
		}
	}
	if refusal := checkAge(cmd, out.Meta, known); refusal != nil {
		return refuse(refusal)
	}
	if cmd.DeadlineMS != 0 && out.Meta.NowMS > cmd.DeadlineMS {
		return Result{Outcome: Late, NowMS: out.Meta.NowMS}, nil
	}
	part, own, err := attemptOf(cmd.RequestID, cmd.Attempt, state)
	if err != nil {
		return Result{}, err
	}
	if own { // sent again: the same answer as then, or a later clock
		_, sum, err := checkConditions(cmd, state, part.FrozenMS)
		return Result{Outcome: Ready, Clock: out.Meta.Clock, ETag: sum}, err
	}
	if !known {
		if refusal, err := roomFor(cmd, out.Meta, state); err != nil || refusal != nil {
			return Result{Refused: refusal}, err
		}
	}
	if holder, paused, err := pausedBy(state, out.Meta); err != nil || paused {
		return Result{Outcome: Conflict, Holder: holder}, err
	}
	if holder, held, err := holderOf(cmd, state, out.Meta); err != nil || held {
		return Result{Outcome: Conflict, Holder: holder}, err
	}
	refusal, sum, err := checkConditions(cmd, state, out.Meta.NowMS)
	if err != nil || refusal != nil {
		return Result{Outcome: Mismatch, Refused: refusal, ETag: sum}, err
	}
	out.Meta.Clock = max(out.Meta.Clock, cmd.After)
	part = wire.Prepared{
		HomeKey: cmd.HomeKey, DeadlineMS: cmd.DeadlineMS, Fingerprint: cmd.Fingerprint,
		RetentionMS: cmd.RetentionMS, FrozenMS: out.Meta.NowMS, LowerBound: out.Meta.Clock + 1,
	}
	name := out.Scratch(func(dst []byte) []byte { return wire.AppendAttempt(dst, cmd.RequestID, cmd.Attempt) })
	out.Set(store.Attempts, name, out.Scratch(part.AppendHead), cmd.Entries.Raw())
	out.Set(store.Due, out.Scratch(func(dst []byte) []byte { return appendDue(dst, dueAttempt, cmd.DeadlineMS, name) }), nil, nil)
	holder := wire.Holder{RequestID: cmd.RequestID, Attempt: cmd.Attempt}
	for _, entry := range cmd.Entries.All() {
		if err := hold(entry.Key, holder, state, out); err != nil {
			return Result{}, err
		}
	}
	return Result{Outcome: Ready, Clock: out.Meta.Clock, ETag: sum}, nil
}
