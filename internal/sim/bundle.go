package sim

import (
	"fmt"
	"slices"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/apply"
	"github.com/sheafdb/sheaf/internal/coordinator"
	"github.com/sheafdb/sheaf/internal/wire"
)

// maxBundle is how many entries a bundle has, at most: more than a set has keys, so that some
// come twice.
const maxBundle = 6

// makeBundle makes an operation of many, each of which writes one key and may be conditional on
// what was read of it last.
func (c *client) makeBundle(op *operation) {
	w := c.w
	op.kind, op.level = bundle, sheaf.Linearizable
	op.id = fmt.Sprintf("c%d-%d", c.id, w.stats.Operations)
	if w.chance(2) {
		op.after = c.sessionVersion()
	}
	seen, keys := c.seen[op.set], keysOf(op.set)
	var raw []byte
	for n := range 1 + w.rng.IntN(maxBundle) {
		one := &operation{client: c.id, kind: batch, level: op.level, began: op.began, set: op.set, id: fmt.Sprintf("%s/%d", op.id, n)}
		i := w.rng.IntN(keysPerKeyset)
		entry := wire.Entry{Key: keys[i], Value: []byte(one.id)}
		if one.writes[i] = put; w.chance(5) {
			one.writes[i], entry.Value, entry.Delete = remove, nil, true
		}
		if seen != nil && w.chance(3) {
			one.onlyIf, entry.HasIfVersion, entry.IfVersion = seen, true, seen.values[i].version
		}
		raw = wire.AppendEntry(raw, &entry)
		op.each = append(op.each, one)
	}
	entries, err := wire.ParseBundle(raw, sheaf.DefaultLimits())
	if err != nil {
		w.fail("%s: is no bundle: %v", op, err)
	}
	op.command = &wire.Command{
		Kind: wire.Bundle, Level: op.level, RequestID: w.requestID(op.id), After: op.after,
		Entries: entries, Fingerprint: wire.BundleFingerprint(entries, op.level),
	}
}

// putBundle is a coordinator's work for a bundle. Its client repeats it until it knows what
// became of every entry.
func (t *try) putBundle() {
	op, w := t.op, t.c.w
	parts := coordinator.Split(op.command.Entries, w.groupOf)
	answers, errs := make([]coordinator.Answer, len(parts)), make([]error, len(parts))
	shares := coordinator.Shares(op.command, w.groupOf)
	t.carry.sideBySide(len(shares), func(i int, do *carrier) {
		one := &coordinator.Several{Command: shares[i].Command, Parts: []coordinator.Part{{Group: shares[i].Group, Entries: shares[i].Command.Entries}}, GroupOf: w.groupOf}
		answers[i], errs[i] = one.Run(do)
		one.Finish()
	})
	answer, err := coordinator.JoinBundle(op.command, parts, w.groupOf, answers, errs)
	if err != nil && !slices.Contains(tryAgain, sheaf.CodeOf(err)) {
		w.fail("%s: refused: %v", op, err)
	}
	if err != nil || slices.ContainsFunc(answer.Outcomes, func(o coordinator.EntryOutcome) bool {
		return o.Refused != nil && o.Refused.Code != sheaf.VersionMismatch
	}) {
		t.retry()
		return
	}
	t.answer(func() {
		op.outcome = committed
		for i, o := range answer.Outcomes {
			one := op.each[i]
			one.outcome, one.version, one.ended = committed, o.Version, w.now
			if o.Refused != nil {
				one.outcome = refused
			}
			op.version = max(op.version, o.Version)
		}
	})
}

// checkBundle says whether each entry of a bundle was written as its client was told, and once.
// Of several that write the same key, only the last can be seen.
func (w *World) checkBundle(op *operation) {
	keys := keysOf(op.set)
	for _, g := range w.groups {
		if wrote := g.parts[op.command.RequestID]; wrote != nil && wrote.times > 1 {
			w.fail("%s: was written %d times in group %d", op, wrote.times, g.id)
		}
	}
	for i, key := range keys {
		var want []change
		for _, one := range op.each {
			if one.writes[i] == leave || one.outcome != committed {
				continue
			}
			last := change{value: value{version: one.version}}
			if one.writes[i] == put {
				last.batch = one.id
			}
			if len(want) > 0 && one.version <= want[0].version || one.version <= op.after {
				w.fail("%s: has version %d, after %v", one, one.version, want)
			}
			want = []change{last}
		}
		var got []change
		for _, c := range w.group(w.groupOf(key)).history[string(key)] {
			if c.id == op.command.RequestID {
				got = append(got, change{value: c.value})
			}
		}
		if !slices.Equal(want, got) {
			w.fail("%s: of key %s its client was told %v, and %v was written", op, key, want, got)
		}
	}
}

// entryOf is an entry of a bundle with the time at which its group took its share, if it wrote any
// of it: that spares the search for an order what waited long, as for partOf.
func (w *World) entryOf(op *operation, i int) *operation {
	one := *op.each[i]
	at := slices.IndexFunc(one.writes[:], func(what write) bool { return what != leave })
	wrote := w.group(w.groupOf(keysOf(op.set)[at])).parts[op.command.RequestID]
	switch {
	case wrote == nil:
	case wrote.at < op.began || wrote.at > op.ended:
		w.fail("%s: was written at %v", op, wrote.at)
	default:
		one.began, one.ended = wrote.at-1, wrote.at
	}
	return &one
}

// versionsOf are those of the keys that a bundle has written.
func versionsOf(cmd *wire.Command, result *apply.Result) map[string]uint64 {
	versions, next := make(map[string]uint64), result.Version
	for i, e := range cmd.Entries.All() {
		if !result.Without.Has(i) {
			versions[string(e.Key)] = next
			next++
		}
	}
	return versions
}
