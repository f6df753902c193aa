package judge

import (
	"strconv"
	"strings"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/check/history"
)

// bank wants all accounts together to have what was paid in, whenever somebody reads them all,
// and none to have less than nothing.
func (t *trial) bank() {
	var first *history.Op
	total := 0
	for _, op := range t.Ops {
		if op.IsWrite() && op.Condition == history.NoneExists {
			first = op
			total, _ = sum(op.Writes)
			break
		}
	}
	if first == nil {
		return
	}
	t.reads(func(op *history.Op) {
		if op.Level != sheaf.Linearizable {
			return
		}
		got, open := sum(op.Answer.Values)
		for i, value := range op.Answer.Values {
			if value != nil && money(*value) < 0 {
				t.violated(Overdrawn, these(op), "op %d read %d in account %s", op.Number, money(*value), op.Keys[i])
			}
		}
		if len(op.Keys) == len(first.Keys) && open == len(first.Keys) && got != total {
			t.violated(WrongSum, these(first, op), "op %d read %d in all accounts, and %d was paid in (op %d)", op.Number, got, total, first.Number)
		}
	})
}

// sum adds up the accounts that are open.
func sum(values []*string) (total, open int) {
	for _, value := range values {
		if value != nil {
			total += money(*value)
			open++
		}
	}
	return total, open
}

// money is what a balance says; what nobody has written is found by other rules.
func money(balance string) int {
	digits, _, _ := strings.Cut(balance, " ")
	n, _ := strconv.Atoi(digits)
	return n
}

// stamps wants all keys of a LINEARIZABLE read to have one value with one version.
func (t *trial) stamps() {
	t.reads(func(op *history.Op) {
		if op.Level != sheaf.Linearizable {
			return
		}
		for i := range op.Keys {
			a, b := op.Answer.Values[0], op.Answer.Values[i]
			if (a == nil) != (b == nil) || a != nil && *a != *b || op.Answer.Versions[0] != op.Answer.Versions[i] {
				t.violated(TwoStamps, these(op), "op %d read %s with version %d at key %s and %s with version %d at key %s", op.Number,
					shown(a), op.Answer.Versions[0], op.Keys[0], shown(b), op.Answer.Versions[i], op.Keys[i])
				return
			}
		}
	})
}

func shown(value *string) string {
	if value == nil {
		return "nothing"
	}
	return strconv.Quote(*value)
}
