package judge

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/check/history"
)

// followers wants each follower to have been sent every batch that was applied: once, whole, and
// for each key in the order of its versions. It compares no batches without a key in common, for
// which no order is promised.
func (t *trial) followers() {
	for _, views := range t.seen {
		for _, v := range views {
			for _, a := range v.came {
				t.inOrder(v, a)
				t.wholeEvent(v, a)
			}
			t.missing(v)
			t.newPicture(v)
		}
		if !t.Closed {
			continue
		}
		t.asked++
		if !slices.ContainsFunc(views, t.atEnd) {
			t.unfinished++
		}
	}
}

// inOrder takes an event in, and wants it to be new and behind those before it.
func (t *trial) inOrder(v *view, a *arrival) {
	s := a.seen
	if a.op != nil {
		if earlier := v.first[a.op]; earlier != nil {
			t.came(CameTwice, both(earlier, a), these(earlier.op, a.op), "the batch of op %d came to %s twice", a.op.Number, who(s))
			return
		}
		v.first[a.op] = a
	}
	for _, name := range s.Keys {
		if p := v.picture[name]; p != nil && s.Version <= p.version {
			t.came(PictureRepeats, only(s), these(a.op), "key %s came to %s with version %d, and the picture before had it with version %d", name, who(s), s.Version, p.version)
		}
		earlier := v.highest[name]
		switch {
		case earlier == nil || earlier.seen.Version < s.Version:
			v.highest[name] = a
		default:
			t.came(WatchFalls, both(earlier, a), these(earlier.op, a.op), "key %s came to %s with version %d after version %d", name, who(s), s.Version, earlier.seen.Version)
		}
		if earlier != nil && earlier.op != nil && a.op != nil && a.op.EndNS < earlier.op.StartNS {
			t.came(WatchFalls, both(earlier, a), these(earlier.op, a.op), "key %s came to %s as op %d wrote it after what op %d wrote, which was sent when the other had been answered",
				name, who(s), a.op.Number, earlier.op.Number)
		}
	}
	if v.isSync() && a.op != nil && a.op.Outcome == history.OK && a.op.EndNS < v.asOfNS {
		t.came(PictureRepeats, only(s), these(a.op), "the batch of op %d came to %s, and was acknowledged before the picture was taken", a.op.Number, who(s))
	}
}

// wholeEvent wants an event to have all keys of its batch, but for those that the picture has: it
// is taken group by group.
func (t *trial) wholeEvent(v *view, a *arrival) {
	if a.op == nil || a.op.Level != sheaf.Linearizable {
		return
	}
	there := make(map[string]bool)
	for _, name := range a.seen.Keys {
		there[name] = true
	}
	for i, name := range a.op.Keys {
		if !there[name] && !v.has(t.keys[name], &write{op: a.op, i: i, value: a.op.Writes[i], version: a.seen.Version}) {
			t.came(HalfCame, only(a.seen), these(a.op), "the batch of op %d came to %s without key %s", a.op.Number, who(a.seen), name)
			return
		}
	}
}

// missing finds batches that were applied and did not come, although a later one of the same key
// did. Behind the last batch, which writes all keys, that is all that are missing.
func (t *trial) missing(v *view) {
	unnamed := make(map[uint64]bool) // deletes that may be of several batches
	for _, a := range v.came {
		if a.op == nil {
			unnamed[a.seen.Version] = true
		}
	}
	for _, name := range t.names() {
		k, last := t.keys[name], v.highest[name]
		if last == nil {
			continue
		}
		for _, w := range k.writes {
			if w.version >= last.seen.Version || w.op.Level != sheaf.Linearizable {
				continue
			}
			if v.first[w.op] == nil && !unnamed[w.version] && v.owes(k, w) {
				t.came(NeverCame, only(last.seen), these(w.op, last.op), "the batch of op %d, which wrote key %s with version %d, never came to %s, and version %d did",
					w.op.Number, name, w.version, who(last.seen), last.seen.Version)
			}
		}
	}
}

// newPicture wants a picture to have what had been acknowledged before it was taken.
func (t *trial) newPicture(v *view) {
	if !v.isSync() || v.fromNS == history.Forever {
		return
	}
	for _, name := range t.names() {
		k := t.keys[name]
		for _, w := range k.writes {
			if w.op.Outcome != history.OK || w.op.Level != sheaf.Linearizable || w.op.EndNS >= v.asOfNS || v.has(k, w) {
				continue
			}
			t.came(WrongPicture, only(v.complete), these(w.op), "key %s is not in the picture of %s as op %d wrote it, which was acknowledged before it was taken, nor later",
				name, who(v.complete), w.op.Number)
		}
	}
}

// atEnd reports whether a follower has come to the last batch.
func (t *trial) atEnd(v *view) bool {
	for _, op := range t.Ops {
		if !op.IsWrite() || !op.Final || op.Outcome != history.OK {
			continue
		}
		if v.first[op] != nil {
			return true
		}
		for i, name := range op.Keys {
			p := v.picture[name]
			if v.fromNS == history.Forever || p == nil || op.Writes[i] == nil || p.version < op.Answer.Version {
				return false
			}
		}
		return true
	}
	return false
}

func both(a, b *arrival) []*history.Seen { return []*history.Seen{a.seen, b.seen} }

func who(s *history.Seen) string { return fmt.Sprintf("follower %d (%s)", s.Follower, s.Kind) }

// change says what an event has of a key.
func change(s *history.Seen, i int) string {
	switch {
	case s.Expired:
		return "the end of its time"
	case s.Values[i] == nil:
		return "a delete"
	}
	return fmt.Sprintf("%.60q", *s.Values[i])
}

func quoted(names []string) string { return strings.Join(names, ", ") }
