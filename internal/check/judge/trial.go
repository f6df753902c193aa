package judge

import (
	"fmt"
	"slices"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/check/history"
)

// trial is one trial and what has been found out about it.
type trial struct {
	*history.Trial
	keys       map[string]*key
	violations []Violation
	// followed are batches without an answer that somebody has built upon.
	followed map[*history.Op]bool

	// seen is what each follower has seen, in pieces without a gap.
	seen [][]*view
	// shown is when a follower was first shown a batch.
	shown map[*history.Op]int64

	// What some trials tell, for the report.
	searched, undecided int
	lost                []*history.Op
	converged           looked
	// Followers that were asked, did not come to the end, and how often one was told that
	// something is not kept.
	asked, unfinished, compacted int
}

// looked says whether the nodes were compared in the end.
type looked uint8

const (
	notAsked looked = iota
	notAll
	compared
)

// key is all that was written to a key.
type key struct {
	name    string
	byValue map[string]*write
	// writes are those that were or may have been applied and whose version is known, in
	// the order of versions; blind are the others.
	writes, blind []*write
	// deleted: some of them may be a delete. A key that is not there then says little.
	deleted bool
}

// write is what a batch does to one of its keys.
type write struct {
	op      *history.Op
	i       int     // the key's place in the batch
	value   *string // nil is a delete
	version uint64  // 0 while it is not known
	// seen is a read that saw it.
	seen *history.Op
}

// newTrial gathers the writes. A value that two batches write would make the history useless,
// and only a broken recorder makes one.
func newTrial(h *history.Trial) (*trial, error) {
	t := &trial{Trial: h, keys: make(map[string]*key), followed: make(map[*history.Op]bool), shown: make(map[*history.Op]int64)}
	for _, op := range h.Ops {
		for i, name := range op.Keys {
			k := t.keys[name]
			if k == nil {
				k = &key{name: name, byValue: make(map[string]*write)}
				t.keys[name] = k
			}
			if !op.IsWrite() {
				continue
			}
			w := &write{op: op, i: i, value: op.Writes[i], version: answered(op)}
			if w.value != nil {
				if k.byValue[*w.value] != nil {
					return nil, fmt.Errorf("trial %s: value %q of key %s is written by ops %d and %d", h.Open.Trial, *w.value, name, k.byValue[*w.value].op.Number, op.Number)
				}
				k.byValue[*w.value] = w
			}
			k.blind = append(k.blind, w)
		}
	}
	t.learn()
	t.arrivals()
	for _, k := range t.keys {
		k.sort()
	}
	return t, nil
}

// answered is the version of every key of a batch, as far as its answer tells. At SEQUENTIAL
// the keys of one batch may have several, of which the answer has the largest.
func answered(op *history.Op) uint64 {
	if op.Outcome == history.OK && (op.Level == sheaf.Linearizable || len(op.Keys) == 1) {
		return op.Answer.Version
	}
	return 0
}

// sort divides the writes by whether their version is known.
func (k *key) sort() {
	all := k.blind
	k.blind = nil
	for _, w := range all {
		switch {
		case w.op.Outcome == history.NotApplied && w.seen == nil:
			continue
		case w.version == 0:
			k.blind = append(k.blind, w)
		default:
			k.writes = append(k.writes, w)
		}
		k.deleted = k.deleted || w.value == nil
	}
	slices.SortStableFunc(k.writes, func(a, b *write) int {
		switch {
		case a.version < b.version:
			return -1
		case a.version > b.version:
			return 1
		}
		return 0
	})
}

// before is the last write with a version below this one; at is with at most this one.
func (k *key) before(version uint64) *write { return k.last(version) }
func (k *key) at(version uint64) *write     { return k.last(version + 1) }

func (k *key) last(below uint64) *write {
	n, _ := slices.BinarySearchFunc(k.writes, below, func(w *write, v uint64) int {
		if w.version < v {
			return -1
		}
		return 1
	})
	if n == 0 {
		return nil
	}
	return k.writes[n-1]
}

// mayBeAbsent reports whether a read may find nothing although the key has had this version:
// only if it may have been deleted later, by somebody who had begun.
func (k *key) mayBeAbsent(version uint64, read *history.Op) bool {
	return version == 0 || k.mayBeGone(version, read.EndNS)
}

// mayBeGone reports whether a key that has had this version may have been deleted by a moment.
func (k *key) mayBeGone(version uint64, byNS int64) bool {
	may := func(w *write) bool { return w.value == nil && w.op.StartNS < byNS }
	for _, w := range k.writes {
		if w.version >= version && may(w) {
			return true
		}
	}
	return slices.ContainsFunc(k.blind, may)
}

// reads visits every read that succeeded.
func (t *trial) reads(visit func(op *history.Op)) {
	for _, op := range t.Ops {
		if !op.IsWrite() && op.Outcome == history.OK {
			visit(op)
		}
	}
}

// saw is the write whose value a read found at a place, or nil.
func (t *trial) saw(read *history.Op, i int) *write {
	if value := read.Answer.Values[i]; value != nil {
		return t.keys[read.Keys[i]].byValue[*value]
	}
	return nil
}
