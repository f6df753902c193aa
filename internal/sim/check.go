package sim

import (
	"fmt"
	"slices"
	"strings"
)

// check judges a world that has come to rest.
//
// The group's log gives every batch its place in one order, so it need not be searched
// for, as a checker must that sees only the clients' side: a batch is at its place, and a
// read is somewhere between two places, where all of its keys were what it saw. All of
// it is linearizable exactly if what ended before something else began can be placed
// before it. Reads take the earliest place that what came before them allows; any other
// choice would leave less room for what comes after.
func (w *World) check() {
	if err := w.agree(); err != nil {
		w.fail("%v", err)
		return
	}
	places := make(map[string][]int) // of batches, by the value that they wrote
	for i, e := range w.record.writes {
		places[e.requestID] = append(places[e.requestID], i+1)
	}
	operations := slices.Clone(w.record.operations)
	slices.SortStableFunc(operations, func(a, b *operation) int { return int(a.began - b.began) })
	var ended []*placed // by the time that they ended
	for _, op := range operations {
		low := 0
		for _, before := range ended {
			if before.op.ended <= op.began {
				low = max(low, before.place)
			}
		}
		place, err := w.place(op, places[op.requestID], low)
		if err != nil {
			w.fail("%s: %v", op, err)
			return
		}
		if place >= 0 {
			ended = append(ended, &placed{op, place})
		}
	}
}

type placed struct {
	op    *operation
	place int
}

// place finds an operation's place: for a batch its number in the order of all, for a read
// that of the last batch before it; -1 if it says nothing about the order.
func (w *World) place(op *operation, at []int, low int) (int, error) {
	if len(at) > 1 {
		return 0, fmt.Errorf("was applied %d times, as the batches %v", len(at), at)
	}
	switch op.outcome {
	case read:
		return w.placeRead(op, low)
	case committed:
		switch {
		case len(at) == 0:
			return 0, fmt.Errorf("was acknowledged at version %d and is lost", op.version)
		case op.version != 0 && op.version != w.record.writes[at[0]-1].version: // 0: of AnswerBeforeCommit
			return 0, fmt.Errorf("was answered version %d and has %d", op.version, w.record.writes[at[0]-1].version)
		case at[0] <= low:
			return 0, fmt.Errorf("is at place %d, though place %d was seen before it began", at[0], low)
		}
		return at[0], nil
	case refused, neverSent:
		if len(at) > 0 {
			return 0, fmt.Errorf("was said not to be written, but is at place %d", at[0])
		}
	case pending, open:
	}
	return -1, nil
}

// placeRead looks for the first place from low on at which all keys were what the read saw.
func (w *World) placeRead(op *operation, low int) (int, error) {
	keys := keysOf(op.group)
	latest := make([]*entry, len(keys))
	for place := 0; ; place++ {
		if place >= low && sees(op.values, keys, latest) {
			return place, nil
		}
		if place == len(w.record.writes) {
			break
		}
		if e := w.record.writes[place]; e.group == op.group {
			for i, key := range keys {
				if _, wrote := e.wrote[key]; wrote {
					latest[i] = e
				}
			}
		}
	}
	return 0, fmt.Errorf("saw %v, which the keys were at no place from %d on: stale, or a part of a batch", op.values, low)
}

func sees(values []value, keys []string, latest []*entry) bool {
	for i, v := range values {
		e := latest[i]
		there := e != nil && e.wrote[keys[i]]
		if v.ok != there || there && (v.version != e.version || v.text != e.requestID) {
			return false
		}
	}
	return true
}

// agree says whether all replicas have the same state.
func (w *World) agree() error {
	members := w.members()
	for _, n := range members {
		if first := members[0]; n.state.meta != first.state.meta || n.state.hash != first.state.hash {
			return fmt.Errorf("replica %d is at %+v, hash %x, replica %d at %+v, hash %x",
				first.id, first.state.meta, first.state.hash, n.id, n.state.meta, n.state.hash)
		}
	}
	return nil
}

func (op *operation) String() string {
	what := "read of group " + fmt.Sprint(op.group)
	if op.data != nil {
		what = "batch " + op.requestID
	}
	return fmt.Sprintf("%s (client %d, %v to %v, %d attempts)", what, op.client, op.began, op.ended, op.attempts)
}

// describe says why a world is not at rest.
func (w *World) describe() string {
	var b strings.Builder
	for _, c := range w.clients {
		if c.busy || c.left > 0 {
			fmt.Fprintf(&b, "client %d has %d operations left; ", c.id, c.left)
		}
	}
	for _, n := range w.replicas {
		fmt.Fprintf(&b, "replica %d alive=%v %+v state at %d, %d appends, %d applies; ",
			n.id, n.alive, n.core.Status(), n.state.meta.Index, len(n.appends), len(n.applies))
	}
	return b.String()
}
