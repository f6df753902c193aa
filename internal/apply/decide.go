package apply

import (
	"bytes"
	"slices"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/store"
	"github.com/sheafdb/sheaf/internal/wire"
)

// applyDecide is the commit point of a batch over several groups: one entry of home's log
// that remembers the request ID and makes home's part values.
func applyDecide(cmd *wire.Command, state State, out *store.Mutations) (Result, error) {
	row, known, err := lookup(cmd.RequestID, state)
	if err != nil {
		return Result{}, err
	}
	switch {
	case known && row.Fingerprint != cmd.Fingerprint:
		return refuse(reused(cmd))
	case known && row.Committed():
		return Result{Outcome: Committed, Version: row.Version, Attempt: row.Attempt}, nil
	case known && row.HasRefused(cmd.Condition):
		return Result{Outcome: Aborted}, nil
	case tooOld(cmd, out.Meta, known) != nil:
		return Result{Outcome: Gone}, nil
	case out.Meta.NowMS > cmd.DeadlineMS:
		return Result{Outcome: Aborted}, nil
	}
	part, own, err := attemptOf(cmd.RequestID, cmd.Attempt, state)
	if err != nil {
		return Result{}, err
	}
	if !own {
		return Result{Outcome: Aborted}, nil
	}
	for _, key := range cmd.Keys {
		row.Unfinished = append(row.Unfinished, bytes.Clone(key))
	}
	out.Set(store.Due, unfinishedDue(cmd, out), nil, nil)
	if err := commitPart(cmd, part, row, known, state, out); err != nil {
		return Result{}, err
	}
	return Result{Outcome: Committed, Version: cmd.Version, Attempt: cmd.Attempt}, nil
}

// commitPart makes an attempt's part values at cmd.Version, and remembers the request ID: also
// when no row may go for it, for the batch was let in when it was prepared.
func commitPart(cmd *wire.Command, part wire.Prepared, row wire.Row, known bool, state State, out *store.Mutations) error {
	if !known {
		if _, err := makeRoom(cmd, state, out); err != nil {
			return err
		}
	}
	out.Meta.Clock = max(out.Meta.Clock, cmd.Version)
	entries := part.Entries.CopyTo(out.Scratch) // the state's view ends before out is written
	write(entries, cmd.Version, out)
	row.Version, row.Attempt = cmd.Version, cmd.Attempt
	as := wire.Command{
		RequestID: cmd.RequestID, Fingerprint: part.Fingerprint,
		RetentionMS: part.RetentionMS, DeadlineMS: part.DeadlineMS,
	}
	remember(&as, row, known, out)
	dropPart(cmd, part, entries, out)
	return nil
}

// dropPart lets go of an attempt's keys, and forgets what it prepared.
func dropPart(cmd *wire.Command, part wire.Prepared, entries wire.Entries, out *store.Mutations) {
	name := out.Scratch(func(dst []byte) []byte { return wire.AppendAttempt(dst, cmd.RequestID, cmd.Attempt) })
	out.Delete(store.Attempts, name)
	out.Delete(store.Due, out.Scratch(func(dst []byte) []byte { return appendDue(dst, dueAttempt, part.DeadlineMS, name) }))
	for _, entry := range entries.All() {
		free(entry.Key, out)
	}
}

// applyResolve is what home's decision means for a part. It is never refused for time: the
// decision is made.
func applyResolve(cmd *wire.Command, state State, out *store.Mutations) (Result, error) {
	part, own, err := attemptOf(cmd.RequestID, cmd.Attempt, state)
	if err != nil || !own { // done before
		return Result{}, err
	}
	if !cmd.Commit {
		dropPart(cmd, part, part.Entries.CopyTo(out.Scratch), out)
		return Result{}, nil
	}
	row, known, err := lookup(cmd.RequestID, state)
	if err != nil {
		return Result{}, err
	}
	return Result{}, commitPart(cmd, part, row, known, state, out)
}

// applyDone notes that all groups have resolved a batch.
func applyDone(cmd *wire.Command, state State, out *store.Mutations) (Result, error) {
	row, known, err := lookup(cmd.RequestID, state)
	if err != nil || !known || row.Attempt != cmd.Attempt || len(row.Unfinished) == 0 {
		return Result{}, err
	}
	row.Unfinished = nil
	out.Delete(store.Due, unfinishedDue(cmd, out))
	out.Set(store.Rows, out.Scratch(func(dst []byte) []byte { return append(dst, cmd.RequestID...) }), nil, out.Scratch(row.Append))
	return Result{}, nil
}

// unfinishedDue is the element of the queue for a batch that was committed here.
func unfinishedDue(cmd *wire.Command, out *store.Mutations) []byte {
	return out.Scratch(func(dst []byte) []byte {
		return appendDue(dst, dueUnfinished, cmd.DeadlineMS, []byte(cmd.RequestID))
	})
}

// applyReject remembers that a batch's conditions failed, unless it is known by now that the
// batch was committed: the retry of a success must hear of that.
func applyReject(cmd *wire.Command, state State, out *store.Mutations) (Result, error) {
	row, known, err := lookup(cmd.RequestID, state)
	if err != nil {
		return Result{}, err
	}
	refusal := sheaf.Errorf(sheaf.ETagMismatch, "the conditions of request ID %q fail: read again and use a new one", cmd.RequestID)
	if known {
		switch {
		case row.Fingerprint != cmd.Fingerprint:
			return refuse(reused(cmd))
		case row.Committed():
			return Result{Outcome: Committed, Version: row.Version, Attempt: row.Attempt}, nil
		case row.HasRefused(cmd.Condition) || len(row.Refused) >= wire.MaxRefused:
			return refuse(refusal)
		}
	}
	if refusal := checkAge(cmd, out.Meta, known); refusal != nil {
		return refuse(refusal)
	}
	if !known {
		if full, err := makeRoom(cmd, state, out); err != nil || full != nil {
			return Result{Refused: full}, err
		}
	}
	row.Refused = append(slices.Clone(row.Refused), cmd.Condition)
	remember(cmd, row, known, out)
	return refuse(refusal)
}

// Status says what home knows of an attempt. It reads only. When the caller's clock is past
// the deadline and the group's is not, a Tick must move the group's first: the verdict
// must stay true.
//
// Until the deadline only a committed row says anything for good. That the ID is too old does
// not: how long IDs are remembered is configuration, of which a Decide may bring another.
func Status(requestID string, attempt, deadlineMS, retentionMS uint64, state State) (Result, error) {
	row, known, err := lookup(requestID, state)
	meta := state.Meta()
	switch {
	case err != nil:
		return Result{}, err
	case known && row.Committed() && row.Attempt == attempt:
		return Result{Outcome: Committed, Version: row.Version, Attempt: row.Attempt}, nil
	case known && row.Committed():
		return Result{Outcome: Aborted}, nil
	case meta.NowMS <= deadlineMS:
		return Result{Outcome: Undecided}, nil
	case tooOld(&wire.Command{RequestID: requestID, RetentionMS: retentionMS}, meta, known) != nil:
		return Result{Outcome: Gone}, nil
	}
	return Result{Outcome: Aborted}, nil
}

func reused(cmd *wire.Command) *sheaf.Error {
	return sheaf.Errorf(sheaf.RequestIDReused, "request ID %q was used for a batch with other entries or another level", cmd.RequestID)
}
