package judge

import (
	"slices"
	"sort"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/sheafdb/sheaf/internal/check/history"
)

// shrink returns a small part of a history without an order that has none either: first
// everything up to the earliest moment at which it went wrong, then without each operation
// that is not needed.
func shrink(steps []porcupine.Operation, limit time.Duration) []porcupine.Operation {
	until := time.Now().Add(limit)
	wrong := func(part []porcupine.Operation) bool {
		left := time.Until(until)
		return left > 0 && porcupine.CheckOperationsTimeout(model, part, left) == porcupine.Illegal
	}
	var ends []int64
	for _, s := range steps {
		ends = append(ends, s.Return)
	}
	slices.Sort(ends)
	n := sort.Search(len(ends), func(i int) bool { return wrong(upTo(steps, ends[i])) })
	if n < len(ends) {
		if part := upTo(steps, ends[n]); wrong(part) {
			steps = part
		}
	}
	for i := len(steps) - 1; i >= 0; i-- {
		if removable(steps, i) {
			if less := slices.Delete(slices.Clone(steps), i, i+1); wrong(less) {
				steps = less
			}
		}
	}
	return steps
}

// upTo is the history as it was known at a moment: what had not been answered is unknown.
func upTo(steps []porcupine.Operation, atNS int64) (part []porcupine.Operation) {
	for _, s := range steps {
		in := s.Input.(*step)
		switch {
		case s.Return <= atNS:
			part = append(part, s)
		case s.Call <= atNS && in.op.IsWrite() && !in.op.Refused():
			s.Input, s.Return = in.undecided(), history.Forever
			part = append(part, s)
		}
	}
	return part
}

// undecided is the step before its answer came.
func (s *step) undecided() *step {
	op := *s.op
	op.Outcome = history.Unknown
	return &step{&op, s.at, s.values, s.expect}
}

// removable reports whether an operation may be left out. A read always may. A write on which
// others depend may not: a good history could look bad without it. That is who found its
// value, and who may have found that it broke a condition. Refused batches change nothing, and
// stay where one was found to explain it.
func removable(steps []porcupine.Operation, at int) bool {
	in := steps[at].Input.(*step)
	if !in.op.IsWrite() {
		return true
	}
	for i, other := range steps {
		o := other.Input.(*step)
		if i == at {
			continue
		}
		if !in.op.Refused() && (o.op.Refused() || o.expect != nil && o.op.Outcome == history.Unknown) {
			return false
		}
		for j, place := range o.at {
			k := slices.Index(in.at, place)
			if k < 0 {
				continue
			}
			if !o.op.IsWrite() && o.values[j] == in.values[k] || o.expect != nil && o.expect[j] == in.values[k] {
				return false
			}
		}
	}
	return true
}
