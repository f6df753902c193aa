package judge

import (
	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/check/history"
)

// answers holds what was answered to one request ID against itself, and looks for answers
// that no fault explains.
func (t *trial) answers() {
	for _, op := range t.Ops {
		var firsts, oks, nots int
		for i := range op.Attempts {
			a := &op.Attempts[i]
			switch {
			case a.Code == sheaf.Internal || a.Code == sheaf.Corruption || a.Code == sheaf.RequestIDReused:
				t.violated(Defect, these(op), "op %d was answered %s: %s", a.Op, a.Code, a.Detail)
			case !op.IsWrite() || a.Accepted:
			case a.Outcome == history.NotApplied && (a.Code == sheaf.ETagMismatch || a.Code == sheaf.VersionMismatch):
				nots++
			case a.Outcome == history.OK:
				if oks++; !a.Replayed {
					firsts++
				}
				t.answer(op, a)
			}
		}
		if firsts > 1 {
			t.violated(AppliedTwice, these(op), "the batch of op %d was answered %d times as applied by that call, at version %d", op.Number, firsts, op.Answer.Version)
		}
		if oks > 0 && nots > 0 {
			t.violated(AnswerChanged, these(op), "the batch of op %d was answered as applied and as refused for ever", op.Number)
		}
	}
}

func (t *trial) answer(op *history.Op, a *history.Attempt) {
	if a.Version != op.Answer.Version {
		t.violated(AnswerChanged, these(op), "the batch of op %d was answered version %d and, in op %d, version %d", op.Number, op.Answer.Version, a.Op, a.Version)
	}
	if a.Version <= op.After {
		t.violated(VersionFalls, these(op), "the batch of op %d was to come after version %d and got version %d", op.Number, op.After, a.Version)
	}
}
