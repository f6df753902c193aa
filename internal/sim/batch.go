package sim

import (
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/apply"
	"github.com/sheafdb/sheaf/internal/coordinator"
	"github.com/sheafdb/sheaf/internal/wire"
)

// makeBatch writes some keys of the set, each with what names the operation, and deletes
// some, or only deletes. Half of the batches are conditional: on what was read last, or on
// that no key is there.
func (c *client) makeBatch(op *operation) {
	w := c.w
	op.id = fmt.Sprintf("c%d-%d", c.id, w.stats.Operations)
	op.level = sheaf.Linearizable
	if w.cfg.Mixed {
		op.level = [...]sheaf.Consistency{sheaf.Linearizable, sheaf.Linearizable, sheaf.Sequential, sheaf.Eventual}[w.rng.IntN(4)]
	}
	if w.chance(2) {
		op.after = c.sessionVersion()
	}
	seen := c.seen[op.set]
	if op.level != sheaf.Eventual {
		op.onlyNew = w.chance(5)
		if !op.onlyNew && seen != nil && w.chance(3) {
			op.onlyIf = seen
		}
	}
	var raw []byte
	var sum wire.ETagSum
	onlyDeletes := w.chance(8)
	for i, key := range keysOf(op.set) {
		entry := wire.Entry{Key: key, Value: []byte(op.id)}
		switch {
		case len(raw) > 0 && w.chance(3):
			continue
		case onlyDeletes || w.chance(10):
			op.writes[i] = remove
			entry.Value, entry.Delete = nil, true
		default:
			op.writes[i] = put
		}
		if op.onlyIf != nil {
			// An ETag is of the keys that are written; groups that write by themselves
			// cannot compare one of all.
			was := seen.values[i]
			if op.level == sheaf.Sequential {
				entry.HasIfVersion, entry.IfVersion = true, was.version
			} else if was.batch != "" {
				sum.AddKey(key, was.version)
			}
		}
		raw = wire.AppendEntry(raw, &entry)
	}
	entries := wire.Canonical(raw)
	op.command = &wire.Command{
		Kind: wire.Fast, Level: op.level, RequestID: w.requestID(op.id), After: op.after,
		Entries: entries, Fingerprint: wire.FingerprintOf(entries, op.level),
	}
	switch {
	case op.onlyNew:
		op.command.IfNoneMatch = wire.Match{Set: true, Star: true}
	case op.onlyIf != nil && op.level == sheaf.Linearizable:
		op.command.IfMatch = wire.Match{Set: true, Tags: []wire.ETagSum{sum}}
	}
}

// requestID names a batch: as any caller may, or as our client does, with the time of its issue.
func (w *World) requestID(name string) string {
	if w.chance(2) {
		return "id-" + name
	}
	var id uuid.UUID
	binary.BigEndian.PutUint64(id[:], uint64(epochMS+w.now.Milliseconds())<<16|7<<12|w.rng.Uint64N(1<<12))
	binary.BigEndian.PutUint64(id[8:], 2<<62|w.rng.Uint64N(1<<62))
	return "v7-" + id.String()
}

// What a coordinator may answer beside success: after tryAgain a client repeats its request.
var (
	tryAgain   = []sheaf.Code{sheaf.NotProposed, sheaf.Contention, sheaf.OutcomeUnknown}
	mismatches = []sheaf.Code{sheaf.ETagMismatch, sheaf.VersionMismatch}
)

// putAtomic is a coordinator's work for a LINEARIZABLE batch.
func (t *try) putAtomic() {
	op, w := t.op, t.c.w
	several := &coordinator.Several{
		Command: op.command, Parts: coordinator.Split(op.command.Entries, w.groupOf), GroupOf: w.groupOf,
	}
	answer, err := several.Run(t.carry)
	switch {
	case err == nil:
		t.answer(func() { op.outcome, op.version = committed, answer.Version })
	case slices.Contains(mismatches, sheaf.CodeOf(err)):
		t.answer(func() { op.outcome = refused })
	case slices.Contains(tryAgain, sheaf.CodeOf(err)):
		t.retry()
	default:
		w.fail("%s: refused: %v", op, err)
	}
	several.Finish()
}

// putParts is a coordinator's work for a SEQUENTIAL batch. Its client repeats it until it
// knows what became of every part.
func (t *try) putParts() {
	op, w := t.op, t.c.w
	shares := coordinator.Shares(op.command, w.groupOf)
	answers, errs := make([]coordinator.Answer, len(shares)), make([]error, len(shares))
	t.carry.sideBySide(len(shares), func(i int, do *carrier) {
		cmd := shares[i].Command
		one := &coordinator.Several{
			Command: cmd, Parts: []coordinator.Part{{Group: shares[i].Group, Entries: cmd.Entries}}, GroupOf: w.groupOf,
		}
		answers[i], errs[i] = one.Run(do)
		one.Finish()
	})
	if w.cfg.Mutant == ForgetPart && slices.Contains(errs, nil) {
		clear(errs)
	}
	answer, err := coordinator.JoinParts(shares, answers, errs)
	var told [maxGroups]part
	applied := false
	for _, p := range answer.Parts {
		switch {
		case p.Applied:
			told[p.Group-1], applied = part{committed, p.Version}, true
		case slices.Contains(mismatches, p.Reason):
			told[p.Group-1] = part{refused, 0}
		default:
			t.retry()
			return
		}
	}
	switch all := len(shares) == 1 || !slices.ContainsFunc(errs, func(err error) bool { return !slices.Contains(mismatches, sheaf.CodeOf(err)) }); {
	case err == nil && !applied:
		w.fail("%s: was answered without a part that is applied", op)
	case err == nil:
		t.answer(func() { op.outcome, op.version, op.parts = committed, answer.Version, told })
	case slices.Contains(mismatches, sheaf.CodeOf(err)) && all:
		for _, share := range shares {
			told[share.Group-1] = part{refused, 0}
		}
		t.answer(func() { op.outcome, op.parts = refused, told })
	case slices.Contains(mismatches, sheaf.CodeOf(err)), slices.Contains(tryAgain, sheaf.CodeOf(err)):
		t.retry()
	default:
		w.fail("%s: refused: %v", op, err)
	}
}

// putAccepted is a coordinator's work for an EVENTUAL batch.
func (t *try) putAccepted() {
	op, w := t.op, t.c.w
	d := w.doors[w.rng.IntN(len(w.doors))]
	if !d.enter(t.carry) {
		t.retry()
		return
	}
	shares := coordinator.Shares(op.command, w.groupOf)
	known, err := coordinator.Known(shares, func(s coordinator.Share) (apply.Result, bool, error) {
		return w.here(t.carry, s.Group).Check(s.Command)
	})
	switch {
	case slices.Contains(tryAgain, sheaf.CodeOf(err)):
		t.retry()
		return
	case err != nil:
		w.fail("%s: refused: %v", op, err)
		return
	}
	if known {
		d.took(op) // as much is said of it as if it were
	}
	for !known {
		switch d.accepted.Put(w.time(), shares) {
		case coordinator.Taken:
			d.took(op)
			known = true
		case coordinator.Full:
			t.retry()
			return
		case coordinator.Later:
			if !t.carry.await(func(told func()) { d.waiting = append(d.waiting, told) }) {
				t.retry()
				return
			}
		}
	}
	if !w.calm && w.chance(20) { // the answer is lost
		t.retry()
		return
	}
	t.answer(func() { op.outcome = accepted })
}

// time is the time by a clock that is right.
func (w *World) time() time.Time { return time.UnixMilli(epochMS).Add(w.now) }
