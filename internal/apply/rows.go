package apply

import (
	"fmt"
	"unsafe"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/store"
	"github.com/sheafdb/sheaf/internal/wire"
)

// A row remembers what became of a request ID, in the same atomic write as the
// batch's data. Invariants:
//
//   - A committed row is never changed; every retry gets its version again.
//   - A refusal by condition is remembered too, per set of conditions, so that
//     a delayed first attempt cannot be applied after its caller was told 412.
//   - A row is dropped only when the ID's age alone refuses it (v7 IDs) or
//     after the retention (opaque IDs). When there are too many, the oldest v7
//     row goes and a floor rises with it: its ID then answers "expired", never
//     "new".

// Check answers a command before it is in the log, if it can be: one whose
// request ID is remembered, and one that Apply would refuse whenever it came.
func Check(cmd *wire.Command, state State) (Result, bool, error) {
	meta := state.Meta()
	if refusal := CheckAfter(cmd.After, meta.Clock); refusal != nil {
		return Result{Refused: refusal}, true, nil
	}
	row, known, err := lookup(cmd.RequestID, state)
	if err != nil {
		return Result{}, false, err
	}
	if known && cmd.Kind == wire.Bundle {
		return answerBundle(cmd, row), true, nil
	}
	if known {
		condition := wire.ConditionHash(cmd.Entries, cmd.IfMatch, cmd.IfNoneMatch)
		if result, answered := Answer(cmd, row, condition); answered {
			return result, true, nil
		}
	}
	meta.NowMS = max(meta.NowMS, cmd.NowMS)
	refusal := checkAge(cmd, meta, known)
	if refusal == nil && !known {
		refusal, err = roomFor(cmd, meta, state)
	}
	return Result{Refused: refusal}, refusal != nil, err
}

// lookup returns what the state remembers of a request ID.
func lookup(id string, state State) (wire.Row, bool, error) {
	if id == "" {
		return wire.Row{}, false, nil
	}
	// The store only reads the key, so the string's own bytes will do.
	data, ok, err := state.Get(store.Rows, unsafe.Slice(unsafe.StringData(id), len(id)))
	if err != nil || !ok {
		return wire.Row{}, false, err
	}
	row, err := wire.DecodeRow(data)
	if err != nil {
		return wire.Row{}, false, fmt.Errorf("%w: request ID %q: %w", store.ErrCorrupt, id, err)
	}
	return row, true, nil
}

// Answer says what a remembered row answers to cmd, and false if it leaves the
// command to be tried: an ID that was only refused, under other conditions.
// condition is the wire.ConditionHash of cmd.
func Answer(cmd *wire.Command, row wire.Row, condition uint64) (Result, bool) {
	switch {
	case row.Fingerprint != cmd.Fingerprint:
		return Result{Refused: sheaf.Errorf(sheaf.RequestIDReused,
			"request ID %q was used for a batch with other entries or another level", cmd.RequestID)}, true
	case row.Committed():
		return Result{Version: row.Version, ETag: etagOf(cmd.Entries, row.Version), Replayed: true}, true
	case row.HasRefused(condition):
		return Result{Refused: sheaf.Errorf(mismatchCode(cmd),
			"request ID %q was refused under these conditions before: read again and use a new one", cmd.RequestID)}, true
	case len(row.Refused) >= wire.MaxRefused:
		return Result{Refused: sheaf.Errorf(mismatchCode(cmd),
			"request ID %q was refused under %d conditions before, which is the most: read again and use a new one",
			cmd.RequestID, wire.MaxRefused)}, true
	}
	return Result{}, false
}

func mismatchCode(cmd *wire.Command) sheaf.Code {
	if cmd.IfMatch.Set || cmd.IfNoneMatch.Set {
		return sheaf.ETagMismatch
	}
	return sheaf.VersionMismatch
}

// checkAge refuses an ID whose row may have been dropped, and one from the
// future, which would be remembered for too long. Only a v7 ID has an age.
func checkAge(cmd *wire.Command, meta store.Meta, known bool) *sheaf.Error {
	if issued, ok := sheaf.RequestID(cmd.RequestID).IssueTime(); ok && uint64(issued.UnixMilli()) > meta.NowMS+MaxFutureMS {
		return sheaf.Invalid("request_id", "was issued %d s in the future: set the caller's clock right", (uint64(issued.UnixMilli())-meta.NowMS)/1000)
	}
	return tooOld(cmd, meta, known)
}

// tooOld is the part of checkAge that a clock ahead does not change: an ID from the future
// passes, which every ID is at a group that was idle for a while. It is so for one retention
// only: under a longer one the same ID may be young.
func tooOld(cmd *wire.Command, meta store.Meta, known bool) *sheaf.Error {
	issued, ok := sheaf.RequestID(cmd.RequestID).IssueTime()
	if !ok {
		return nil
	}
	issuedMS := uint64(issued.UnixMilli())
	switch {
	case issuedMS+cmd.RetentionMS < meta.NowMS:
		return sheaf.Errorf(sheaf.RequestIDExpired, "request ID %q was issued %d s ago: they are remembered for %d s",
			cmd.RequestID, (meta.NowMS-issuedMS)/1000, cmd.RetentionMS/1000)
	case !known && issuedMS <= meta.IDFloorMS:
		return sheaf.Errorf(sheaf.RequestIDExpired, "request ID %q is older than the %d that are remembered", cmd.RequestID, meta.Rows)
	}
	return nil
}

// remember writes the row of cmd's request ID, if it has one.
func remember(cmd *wire.Command, row wire.Row, known bool, out *store.Mutations) {
	if cmd.RequestID == "" {
		return
	}
	id := out.Scratch(func(dst []byte) []byte { return append(dst, cmd.RequestID...) })
	kind, from := dueRowOpaque, out.Meta.NowMS
	if issued, ok := sheaf.RequestID(cmd.RequestID).IssueTime(); ok {
		kind, from = dueRowV7, uint64(issued.UnixMilli())
	}
	if !known {
		out.Meta.Rows++
	}
	row.Fingerprint = cmd.Fingerprint
	row.DueMS = max(from+cmd.RetentionMS, cmd.DeadlineMS) + 1
	out.Set(store.Rows, id, nil, out.Scratch(row.Append))
	out.Set(store.Due, out.Scratch(func(dst []byte) []byte { return appendDue(dst, kind, row.DueMS, id) }), nil, nil)
}
