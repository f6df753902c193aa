package coordinator

import (
	"bytes"
	"container/heap"
	"slices"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/apply"
	"github.com/sheafdb/sheaf/internal/wire"
)

// Settle has every batch over several groups that was committed before the call resolved in a
// group: its caller may have been answered, and a scan looks at values only. attempts are those
// that have prepared something in the group's newest state.
func Settle(do Carrier, group uint64, groupOf func(key []byte) uint64, attempts func() ([]wire.Holder, error)) error {
	pending, err := attempts()
	for turn := 0; err == nil && len(pending) > 0; turn++ {
		if do.Over() {
			return &sheaf.Error{Code: sheaf.NotLeader, Detail: "a group did not say what became of a batch on its way"}
		}
		if turn > 0 {
			do.Wait(turn)
		}
		pending = slices.DeleteFunc(pending, func(attempt wire.Holder) bool {
			result, _ := Help(do, groupOf, attempt, []uint64{group})
			return result.Outcome == apply.Undecided // so its caller was not answered
		})
		if len(pending) > 0 {
			var still []wire.Holder
			still, err = attempts()
			pending = those(pending, still)
		}
	}
	return err
}

// those returns the attempts that are still there.
func those(pending, still []wire.Holder) []wire.Holder {
	return slices.DeleteFunc(pending, func(attempt wire.Holder) bool {
		return !slices.ContainsFunc(still, func(h wire.Holder) bool { return h.RequestID == attempt.RequestID && h.Attempt == attempt.Attempt })
	})
}

// Cursor walks the live keys of one group in the order of their bytes.
type Cursor interface {
	// Next moves to the next key; false at the end or on an error.
	Next() bool
	Item() sheaf.Item
	Err() error
}

// Merge walks the keys of several cursors, of which no two have the same, in the order of their
// bytes. It is not safe for concurrent use.
type Merge[C Cursor] struct {
	Cursors []C

	// ahead are those that stand at a key which was not returned yet, the one with the first
	// key on top; the top one stands at the key that Next moved to.
	ahead   ahead[C]
	started bool
	err     error
}

// Next moves to the next live key; false at the end or on an error.
func (m *Merge[C]) Next() bool {
	if m.err != nil {
		return false
	}
	if !m.started {
		m.started = true
		for _, cursor := range m.Cursors {
			if m.advance(cursor) {
				m.ahead = append(m.ahead, cursor)
			}
		}
		heap.Init(&m.ahead)
	} else if len(m.ahead) > 0 {
		if m.advance(m.ahead[0]) {
			heap.Fix(&m.ahead, 0)
		} else {
			heap.Pop(&m.ahead)
		}
	}
	return m.err == nil && len(m.ahead) > 0
}

func (m *Merge[C]) advance(cursor C) bool {
	if cursor.Next() {
		return true
	}
	if err := cursor.Err(); err != nil && m.err == nil {
		m.err = err
	}
	return false
}

// Item is the key Next moved to. Its slices are valid until Next or Close.
func (m *Merge[C]) Item() sheaf.Item { return m.ahead[0].Item() }

// Err is the *sheaf.Error that ended the scan, or nil.
func (m *Merge[C]) Err() error { return m.err }

// ahead is a heap by key.
type ahead[C Cursor] []C

func (a ahead[C]) Len() int           { return len(a) }
func (a ahead[C]) Less(i, j int) bool { return bytes.Compare(a[i].Item().Key, a[j].Item().Key) < 0 }
func (a ahead[C]) Swap(i, j int)      { a[i], a[j] = a[j], a[i] }

// Push is part of heap.Interface, and not used.
func (a *ahead[C]) Push(x any) { *a = append(*a, x.(C)) }

// Pop is part of heap.Interface.
func (a *ahead[C]) Pop() any {
	last := (*a)[len(*a)-1]
	*a = (*a)[:len(*a)-1]
	return last
}
