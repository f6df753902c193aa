package judge

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/check/history"
)

// mostKeys is how many keys one search may cover.
const mostKeys = 8

// content is what the keys have: the number of a value, 0 for none.
type content [mostKeys]int32

// step is an operation as the search sees it: what it found or wrote, and of which keys.
type step struct {
	op *history.Op
	// at are the places of its keys in content.
	at []int
	// values are what it read or writes; expect is what it was on condition of, or nil.
	values, expect []int32
}

// model is a few keys that change one operation at a time. An operation whose outcome is
// unknown may do nothing if its condition does not hold, and one that was refused must have
// found that it did not. Versions and ETags are not in it: a condition is on values.
var model = porcupine.Model{
	Init: func() any { return content{} },
	Step: func(state, input, _ any) (bool, any) {
		now, s := state.(content), input.(*step)
		if !s.op.IsWrite() {
			return s.holds(now, s.values), now
		}
		holds := s.expect == nil || s.holds(now, s.expect)
		switch {
		case s.op.Refused():
			return !holds, now
		case !holds:
			return s.op.Outcome == history.Unknown, now
		}
		for i, at := range s.at {
			now[at] = s.values[i]
		}
		return true, now
	},
}

func (s *step) holds(now content, want []int32) bool {
	for i, at := range s.at {
		if now[at] != want[i] {
			return false
		}
	}
	return true
}

// oneOrder looks for an order of all LINEARIZABLE operations on these keys, without a look at
// versions. It needs all writes to be so: of the others it does not know when they happened.
func (t *trial) oneOrder(keys []string, limit time.Duration) {
	for _, op := range t.Ops {
		if op.IsWrite() && op.Level != sheaf.Linearizable {
			return
		}
	}
	steps := t.steps(keys)
	if len(steps) == 0 {
		return
	}
	t.searched++
	switch porcupine.CheckOperationsTimeout(model, steps, limit) {
	case porcupine.Ok:
	case porcupine.Unknown:
		t.undecided++
	case porcupine.Illegal:
		least := shrink(steps, limit)
		var ops []*history.Op
		for _, s := range least {
			ops = append(ops, s.Input.(*step).op)
		}
		t.violated(NoOrder, ops, "no order of %s agrees with what clients saw and when", numbered(ops))
	}
}

// numbered names operations.
func numbered(ops []*history.Op) string {
	numbers := make([]string, len(ops))
	for i, op := range ops {
		numbers[i] = strconv.FormatUint(op.Number, 10)
	}
	if len(ops) == 1 {
		return "op " + numbers[0]
	}
	return "ops " + strings.Join(numbers, ", ")
}

// steps are what the search is given: what was answered, what was refused by its condition,
// and what is unknown.
func (t *trial) steps(keys []string) (steps []porcupine.Operation) {
	if len(keys) > mostKeys {
		return nil // a workload with so many keys is not for this judge
	}
	numbers := make(map[string]int32)
	number := func(value *string) int32 {
		if value == nil {
			return 0
		}
		n, ok := numbers[*value]
		if !ok {
			n = int32(len(numbers) + 1)
			numbers[*value] = n
		}
		return n
	}
	seen := t.sightings()
	for _, op := range t.Ops {
		if op.Level != sheaf.Linearizable || op.Outcome == history.NotApplied && !op.Refused() || !op.IsWrite() && op.Outcome != history.OK {
			continue
		}
		s := &step{op: op}
		values := op.Writes
		if !op.IsWrite() {
			values = op.Answer.Values
		}
		for i, name := range op.Keys {
			at := slices.Index(keys, name)
			if at < 0 {
				continue
			}
			s.at = append(s.at, at)
			s.values = append(s.values, number(values[i]))
			if op.Condition != "" {
				s.expect = append(s.expect, number(op.Expect[i]))
			}
		}
		if len(s.at) == 0 {
			continue
		}
		end := op.EndNS
		if op.Outcome == history.Unknown {
			// Whoever saw it says that it had happened by then.
			if by, ok := seen[op]; ok {
				end = by
			}
		}
		steps = append(steps, porcupine.Operation{ClientId: op.Process, Input: s, Call: op.StartNS, Return: end})
	}
	return steps
}

// sightings is when each batch was first seen.
func (t *trial) sightings() map[*history.Op]int64 {
	first := make(map[*history.Op]int64)
	t.reads(func(op *history.Op) {
		for i := range op.Keys {
			if w := t.saw(op, i); w != nil {
				if at, ok := first[w.op]; !ok || op.EndNS < at {
					first[w.op] = op.EndNS
				}
			}
		}
	})
	return first
}
