package judge

import (
	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/check/history"
)

// sessions wants a SEQUENTIAL read that comes after a version to show, of each key, nothing
// older than the last write up to that version. A session that passes along the largest
// version that it has seen thus never goes back.
func (t *trial) sessions() {
	t.reads(func(op *history.Op) {
		if op.Level != sheaf.Sequential || op.After == 0 {
			return
		}
		for i, name := range op.Keys {
			k := t.keys[name]
			w := k.at(op.After)
			if w == nil || op.Answer.Versions[i] >= w.version {
				continue
			}
			if op.Answer.Values[i] == nil && (w.value == nil || k.mayBeAbsent(w.version, op)) {
				continue
			}
			reason := AfterIgnored
			if t.sawBefore(op, name, w.version) {
				reason = SessionBack
			}
			t.violated(reason, these(w.op, op), "op %d, after version %d, read version %d of key %s, whose version %d is of op %d",
				op.Number, op.After, op.Answer.Versions[i], name, w.version, w.op.Number)
		}
	})
}

// sawBefore reports whether the same process had read or written a version of a key before.
func (t *trial) sawBefore(read *history.Op, name string, version uint64) bool {
	for _, op := range t.Ops {
		if op.Process != read.Process || op.Outcome != history.OK || op.EndNS > read.StartNS {
			continue
		}
		i := op.Index(name)
		if i >= 0 && (op.IsWrite() && op.Answer.Version >= version || !op.IsWrite() && op.Answer.Versions[i] >= version) {
			return true
		}
	}
	return false
}
