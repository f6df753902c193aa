package judge

import (
	"maps"
	"slices"

	"github.com/sheafdb/sheaf/internal/check/history"
)

// arrivals finds the batch of each event, holds the event against it, and learns from it that
// the batch was applied and at which version.
func (t *trial) arrivals() {
	for _, f := range t.Followers {
		views := t.views(f)
		for _, v := range views {
			for _, name := range slices.Sorted(maps.Keys(v.picture)) {
				t.asPictured(name, v.picture[name])
			}
			for _, a := range v.came {
				if a.op = t.batchOf(a.seen); a.op != nil {
					t.asWritten(a)
				}
			}
		}
		t.seen = append(t.seen, views)
	}
}

// batchOf is the batch that an event is, or nil if it is none or may be one of several.
func (t *trial) batchOf(s *history.Seen) (op *history.Op) {
	for i, name := range s.Keys {
		k, value := t.keys[name], s.Values[i]
		switch {
		case k == nil || s.Expired || value != nil && k.byValue[*value] == nil:
			t.came(UnwrittenCame, only(s), nil, "%s came to %s of key %s, and nobody has written that", change(s, i), who(s), name)
			return nil
		case value == nil:
		case op == nil:
			op = k.byValue[*value].op
		case op != k.byValue[*value].op:
			other := k.byValue[*value].op
			t.came(AlteredCame, only(s), these(op, other), "parts of ops %d and %d came to %s as one batch", op.Number, other.Number, who(s))
			return nil
		}
	}
	if op == nil {
		op = t.deletes(s)
	}
	return op
}

// deletes is the batch of an event without a value, which the version tells, or that it is the
// only one that may be.
func (t *trial) deletes(s *history.Seen) *history.Op {
	var may []*history.Op
	for _, op := range t.Ops {
		if !op.IsWrite() || op.Outcome == history.NotApplied || !deletesAll(op, s.Keys) {
			continue
		}
		switch t.versionOf(op) {
		case s.Version:
			return op
		case 0:
			may = append(may, op)
		}
	}
	switch len(may) {
	case 0:
		t.came(UnwrittenCame, only(s), nil, "deletes of %s came to %s with version %d, and no batch deletes them with that", quoted(s.Keys), who(s), s.Version)
	case 1:
		return may[0]
	}
	return nil
}

func deletesAll(op *history.Op, names []string) bool {
	for _, name := range names {
		if i := op.Index(name); i < 0 || op.Writes[i] != nil {
			return false
		}
	}
	return true
}

// versionOf is what is known of a batch's version, or 0. It is for the time before keys are
// sorted.
func (t *trial) versionOf(op *history.Op) uint64 {
	for _, w := range t.writesOf(op) {
		if w.version != 0 {
			return w.version
		}
	}
	return 0
}

// asWritten wants an event to be what its batch wrote, of a batch that may have been applied.
func (t *trial) asWritten(a *arrival) {
	s, op := a.seen, a.op
	for i, name := range s.Keys {
		at := op.Index(name)
		if s.Values[i] == nil && (at < 0 || op.Writes[at] != nil) {
			t.came(AlteredCame, only(s), these(op), "a delete of key %s came to %s with the batch of op %d, which does not delete it", name, who(s), op.Number)
			return
		}
	}
	if op.Outcome == history.NotApplied {
		t.came(RefusedCame, only(s), these(op), "the batch of op %d came to %s, and was answered %s: not applied", op.Number, who(s), op.Answer.Code)
		return
	}
	if op.StartNS > s.AtNS {
		t.came(FromTheFuture, only(s), these(op), "the batch of op %d came to %s before it was sent", op.Number, who(s))
	}
	if version := t.versionOf(op); version != 0 && version != s.Version {
		t.came(AlteredCame, only(s), these(op), "the batch of op %d came to %s with version %d, and has version %d", op.Number, who(s), s.Version, version)
		return
	}
	t.wasApplied(op, s.Version, s.AtNS)
}

// wasApplied keeps what a follower has told of a batch.
func (t *trial) wasApplied(op *history.Op, version uint64, atNS int64) {
	for _, w := range t.writesOf(op) {
		w.version = version
	}
	if op.Outcome == history.Unknown {
		t.followed[op] = true
	}
	if first, ok := t.shown[op]; !ok || atNS < first {
		t.shown[op] = atNS
	}
}

// asPictured wants a key of a picture to be as a batch wrote it that may have been applied.
func (t *trial) asPictured(name string, p *pictured) {
	s := p.seen
	k := t.keys[name]
	if k == nil || k.byValue[p.value] == nil {
		t.came(WrongPicture, only(s), nil, "%.60q of key %s is in the picture of %s, and nobody has written that", p.value, name, who(s))
		return
	}
	op := k.byValue[p.value].op
	version := t.versionOf(op)
	switch {
	case op.Outcome == history.NotApplied:
		t.came(WrongPicture, only(s), these(op), "%.60q of key %s is in the picture of %s, and op %d, which wrote it, was answered %s: not applied",
			p.value, name, who(s), op.Number, op.Answer.Code)
	case op.StartNS > s.AtNS:
		t.came(FromTheFuture, only(s), these(op), "%.60q of key %s is in the picture of %s before op %d wrote it", p.value, name, who(s), op.Number)
	case version != 0 && version != p.version:
		t.came(WrongPicture, only(s), these(op), "%.60q of key %s is in the picture of %s with version %d, and op %d, which wrote it, has version %d",
			p.value, name, who(s), p.version, op.Number, version)
	default:
		t.wasApplied(op, p.version, s.AtNS)
	}
}

// came is a violation that a line of a follower shows, or two.
func (t *trial) came(reason Reason, seen []*history.Seen, ops []*history.Op, format string, args ...any) {
	if t.violated(reason, ops, format, args...) {
		t.violations[len(t.violations)-1].Seen = seen
	}
}

func only(s *history.Seen) []*history.Seen { return []*history.Seen{s} }
