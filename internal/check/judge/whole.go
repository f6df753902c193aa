package judge

import (
	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/check/history"
)

// whole wants a LINEARIZABLE read that sees a batch at one key to see it, or something newer,
// at every other key that both name (a "fractured read" of Bailis et al., RAMP, 2014, is one
// that does not).
func (t *trial) whole() {
	t.reads(func(op *history.Op) {
		if op.Level != sheaf.Linearizable {
			return
		}
		for i := range op.Keys {
			if w := t.saw(op, i); w != nil && w.op.Level == sheaf.Linearizable && w.version != 0 {
				t.wholeBatch(op, w)
			}
		}
	})
}

func (t *trial) wholeBatch(read *history.Op, w *write) {
	for _, name := range w.op.Keys {
		i := read.Index(name)
		if i < 0 || read.Answer.Versions[i] >= w.version {
			continue
		}
		if read.Answer.Values[i] == nil && t.keys[name].mayBeAbsent(w.version, read) {
			continue
		}
		t.violated(HalfBatch, these(w.op, read), "op %d read key %s as op %d wrote it, with version %d, and key %s, which the same batch wrote, with version %d",
			read.Number, w.op.Keys[w.i], w.op.Number, w.version, name, read.Answer.Versions[i])
		return
	}
}

// conditions wants the write before a conditional one, by versions, to be the one that it was
// on condition of.
func (t *trial) conditions() {
	for _, name := range t.names() {
		k := t.keys[name]
		for _, w := range k.writes {
			if w.op.Condition == "" || w.op.Outcome != history.OK {
				continue
			}
			last, expected := k.before(w.version), w.op.Expect[w.i]
			switch {
			case last == nil:
			case expected == nil && (last.value == nil || hasDelete(k.blind)):
			case expected != nil && last.value != nil && *last.value == *expected:
			case expected != nil && k.byValue[*expected] == nil, expected != nil && k.byValue[*expected].version == 0:
			default:
				t.violated(ConditionIgnored, these(last.op, w.op), "op %d wrote key %s with version %d on condition that it was as expected, and before that came version %d of op %d",
					w.op.Number, name, w.version, last.version, last.op.Number)
			}
		}
	}
}

func hasDelete(writes []*write) bool {
	for _, w := range writes {
		if w.value == nil {
			return true
		}
	}
	return false
}
