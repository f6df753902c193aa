package judge

import (
	"slices"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/check/history"
)

// learn takes from the reads which writes were applied and what their versions are, and holds
// each value against the batch that wrote it.
func (t *trial) learn() {
	t.reads(func(op *history.Op) {
		for i := range op.Keys {
			if op.Answer.Values[i] != nil {
				t.sighting(op, i)
			}
		}
	})
	for _, op := range t.Ops {
		if op.IsWrite() && op.Level == sheaf.Linearizable {
			t.share(op)
		}
	}
	t.oneValuePerVersion()
}

func (t *trial) sighting(op *history.Op, i int) {
	name, value, version := op.Keys[i], *op.Answer.Values[i], op.Answer.Versions[i]
	w := t.keys[name].byValue[value]
	if w == nil {
		t.violated(UnwrittenValue, these(op), "op %d read %.60q of key %s, which nobody has written", op.Number, value, name)
		return
	}
	if w.op.Outcome == history.NotApplied {
		t.violated(RefusedSeen, these(w.op, op), "op %d read %.60q of key %s, and op %d, which wrote it, was answered %s: not applied",
			op.Number, value, name, w.op.Number, w.op.Answer.Code)
	}
	if w.op.StartNS > op.EndNS {
		t.violated(FromTheFuture, these(w.op, op), "op %d read %.60q of key %s before op %d wrote it", op.Number, value, name, w.op.Number)
	}
	if w.version != 0 && w.version != version {
		t.violated(AppliedTwice, these(w.op, w.seen, op), "%.60q of key %s has version %d in op %d, and had version %d before",
			value, name, version, op.Number, w.version)
	}
	if w.version == 0 {
		w.version = version
	}
	if w.seen == nil || op.EndNS < w.seen.EndNS {
		w.seen = op
	}
}

// share gives a batch one version: what is known of one of its keys holds for all.
func (t *trial) share(op *history.Op) {
	var first *write
	for _, w := range t.writesOf(op) {
		switch {
		case w.version == 0:
		case first == nil:
			first = w
		case first.version != w.version:
			t.violated(HalfBatch, these(op, first.seen, w.seen), "the keys of op %d have versions %d (%s) and %d (%s): a batch has one",
				op.Number, first.version, op.Keys[first.i], w.version, op.Keys[w.i])
		}
	}
	if first == nil {
		return
	}
	for _, w := range t.writesOf(op) {
		if w.version == 0 {
			w.version = first.version
		}
		if w.seen == nil {
			w.seen = first.seen
		}
	}
}

// writesOf are the writes of a batch. It is for the time before keys are sorted.
func (t *trial) writesOf(op *history.Op) []*write {
	writes := make([]*write, 0, len(op.Keys))
	for i, name := range op.Keys {
		k := t.keys[name]
		if value := op.Writes[i]; value != nil {
			writes = append(writes, k.byValue[*value])
			continue
		}
		for _, w := range k.blind {
			if w.op == op {
				writes = append(writes, w)
			}
		}
	}
	return writes
}

// oneValuePerVersion finds versions that a key has had with two values.
func (t *trial) oneValuePerVersion() {
	for _, name := range t.names() {
		owner := make(map[uint64]*write)
		for _, w := range t.keys[name].blind {
			if w.version == 0 {
				continue
			}
			if other := owner[w.version]; other != nil {
				t.violated(VersionReused, these(other.op, w.op, other.seen, w.seen), "version %d of key %s was given to op %d and to op %d",
					w.version, name, other.op.Number, w.op.Number)
			}
			owner[w.version] = w
		}
	}
}

// names are the trial's keys in order, so that a verdict on one history is always the same.
func (t *trial) names() []string {
	names := make([]string, 0, len(t.keys))
	for name := range t.keys {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
