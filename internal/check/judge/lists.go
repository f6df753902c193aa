package judge

import (
	"cmp"
	"slices"
	"strings"

	"github.com/sheafdb/sheaf/internal/check/history"
)

// lists takes the order of writes from the lists that they wrote, and from no version: of any
// two lists of a key, one continues the other. It returns that order, for the graph.
func (t *trial) lists() orderOf {
	// A batch without an answer was applied if somebody continued one of its lists.
	for _, k := range t.keys {
		for _, w := range k.byValue {
			if w.op.Outcome == history.Unknown && !t.applied(w.op) && t.continued(k, w) {
				t.followed[w.op] = true
			}
		}
	}
	orders := make(map[*key][]*write)
	for _, name := range t.names() {
		orders[t.keys[name]] = t.list(t.keys[name])
	}
	return func(k *key) []*write { return orders[k] }
}

// continued reports whether a list that was written, or read, continues another.
func (t *trial) continued(k *key, w *write) bool {
	for _, later := range k.byValue {
		if (later.op.Outcome == history.OK || later.seen != nil) && continues(*w.value, *later.value) {
			return true
		}
	}
	return false
}

// list is the order of one key's writes.
func (t *trial) list(k *key) []*write {
	var writes []*write
	for _, w := range k.byValue {
		if t.applied(w.op) {
			writes = append(writes, w)
		}
	}
	slices.SortFunc(writes, func(a, b *write) int {
		return cmp.Or(cmp.Compare(len(*a.value), len(*b.value)), cmp.Compare(a.op.Number, b.op.Number))
	})
	for i, w := range writes {
		if i > 0 && !continues(*writes[i-1].value, *w.value) {
			t.violated(ListForks, these(writes[i-1].op, w.op), "list %s was %s (op %d) and also %s (op %d)", k.name,
				end(*writes[i-1].value), writes[i-1].op.Number, end(*w.value), w.op.Number)
			return writes[:i]
		}
		if element := twice(*w.value); element != "" {
			t.violated(AppliedTwice, these(w.op, w.seen), "list %s has element %s twice (op %d)", k.name, element, w.op.Number)
		}
	}
	return writes
}

// continues reports whether one list is the beginning of another.
func continues(shorter, longer string) bool { return strings.HasPrefix(longer, shorter+",") }

func twice(list string) string {
	elements := strings.Split(list, ",")
	slices.Sort(elements)
	for i := 1; i < len(elements); i++ {
		if elements[i] == elements[i-1] {
			return elements[i]
		}
	}
	return ""
}

// end is the last part of a list, which is where two differ.
func end(list string) string {
	const most = 40
	if len(list) > most {
		return "…" + list[len(list)-most:]
	}
	return list
}
