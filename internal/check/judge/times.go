package judge

import (
	"cmp"
	"slices"
	"sort"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/check/history"
)

// known is a moment from which on it is certain that a key has had a version.
type known struct {
	atNS    int64
	version uint64
	by      *history.Op
	// how it was known.
	how string
}

const (
	byAnswer   = "answered"
	byFollower = "shown to a follower"
)

// moments are the times of one key, in order, each with the largest version until then.
type moments []known

// times wants every LINEARIZABLE operation on a key to come after everything that had been
// answered before it began, judged by versions.
func (t *trial) times() {
	for _, name := range t.names() {
		k := t.keys[name]
		m := t.momentsOf(k)
		for _, op := range t.Ops {
			i := op.Index(name)
			if i < 0 || op.Outcome == history.NotApplied {
				continue
			}
			if last := m.before(op.StartNS); last != nil {
				t.inTime(k, op, i, last)
			}
		}
	}
}

func (t *trial) momentsOf(k *key) moments {
	var m moments
	for _, w := range k.writes {
		if w.op.Outcome == history.OK && !w.op.Answer.Accepted {
			m = append(m, known{w.op.EndNS, w.version, w.op, byAnswer})
		}
		if atNS, ok := t.shown[w.op]; ok {
			m = append(m, known{atNS, w.version, w.op, byFollower})
		}
	}
	t.reads(func(op *history.Op) {
		if i := op.Index(k.name); i >= 0 && op.Answer.Values[i] != nil {
			m = append(m, known{op.EndNS, op.Answer.Versions[i], op, byAnswer})
		}
	})
	slices.SortStableFunc(m, func(a, b known) int { return cmp.Compare(a.atNS, b.atNS) })
	for i := 1; i < len(m); i++ {
		if m[i].version < m[i-1].version {
			m[i].version, m[i].by, m[i].how = m[i-1].version, m[i-1].by, m[i-1].how
		}
	}
	return m
}

// before is what was known when an operation began.
func (m moments) before(startNS int64) *known {
	n := sort.Search(len(m), func(i int) bool { return m[i].atNS >= startNS })
	if n == 0 {
		return nil
	}
	return &m[n-1]
}

func (t *trial) inTime(k *key, op *history.Op, i int, last *known) {
	if op.IsWrite() {
		for _, w := range k.writes {
			if w.op == op && w.version <= last.version {
				t.violated(VersionFalls, these(op, last.by), "op %d wrote key %s with version %d, and version %d had been %s before it began (op %d)",
					op.Number, k.name, w.version, last.version, last.how, last.by.Number)
			}
		}
		return
	}
	version := op.Answer.Versions[i]
	if op.Outcome != history.OK || op.Level != sheaf.Linearizable || version >= last.version {
		return
	}
	found := "nothing"
	if op.Answer.Values[i] != nil {
		found = *op.Answer.Values[i]
	} else if k.mayBeAbsent(last.version, op) {
		return
	}
	reason := StaleRead
	if !t.seenLater(k, op, last.version) {
		reason = LostWrite
	}
	t.violated(reason, these(last.by, op), "op %d read %.60q of key %s with version %d, and version %d had been %s before it began (op %d)",
		op.Number, found, k.name, version, last.version, last.how, last.by.Number)
}

// seenLater reports whether a version, or a later one, was there again after a read that did
// not see it.
func (t *trial) seenLater(k *key, read *history.Op, version uint64) (seen bool) {
	t.reads(func(op *history.Op) {
		i := op.Index(k.name)
		seen = seen || i >= 0 && op.EndNS > read.EndNS && op.Answer.Versions[i] >= version
	})
	return seen
}
