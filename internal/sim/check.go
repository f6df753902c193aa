package sim

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/sheafdb/sheaf/internal/store"
)

// check judges a world that has come to rest.
func (w *World) check() {
	for _, g := range w.groups {
		g.agree(w)
	}
	for _, op := range w.operations {
		if op.command != nil {
			w.checkBatch(op)
			for i := range w.copies {
				w.checkCopy(&w.copies[i], op)
			}
		}
	}
	for set := range keysets {
		w.checkOrder(set)
	}
}

// checkBatch says whether a batch was written as a whole and once, or not at all, as its
// client was told.
func (w *World) checkBatch(op *operation) {
	wants, found := 0, 0 // groups
	for _, g := range w.groups {
		has := false
		for i, key := range keysOf(op.set) {
			has = has || op.writes[i] != leave && w.groupOf(key) == g.id
		}
		if has {
			wants++
		}
		part := g.parts[op.command.RequestID]
		if part == nil {
			continue
		}
		found++
		switch {
		case part.times > 1:
			w.fail("%s: was written %d times in group %d", op, part.times, g.id)
		case op.outcome == committed && op.version != 0 && part.version != op.version:
			w.fail("%s: was answered version %d and has %d in group %d", op, op.version, part.version, g.id)
		}
	}
	switch {
	case found != 0 && found != wants:
		w.fail("%s: was written in %d of %d groups", op, found, wants)
	case op.outcome == committed && found == 0:
		w.fail("%s: was acknowledged at version %d and is lost", op, op.version)
	case op.outcome == refused && found > 0:
		w.fail("%s: was said not to be written, and was", op)
	}
}

// checkOrder looks for one order of all batches and reads of a set that agrees with what
// clients saw and when. It trusts no version.
func (w *World) checkOrder(set int) {
	var history []porcupine.Operation
	for _, op := range w.operations {
		if op.set == set {
			history = append(history, porcupine.Operation{
				ClientId: op.client, Input: op, Output: op, Call: int64(op.began), Return: int64(op.ended),
			})
		}
	}
	switch porcupine.CheckOperationsTimeout(model, history, searchTime) {
	case porcupine.Ok:
	case porcupine.Illegal:
		w.fail("set %d: no order of these operations agrees with what clients saw:\n%s", set, shortest(history))
	case porcupine.Unknown:
		w.fail("set %d: whether there is an order of %d operations was not found out", set, len(history))
	}
}

// shortest returns the operations up to the first that does not fit.
func shortest(history []porcupine.Operation) string {
	slices.SortFunc(history, func(a, b porcupine.Operation) int { return int(a.Return - b.Return) })
	n := 1
	for n < len(history) && porcupine.CheckOperationsTimeout(model, history[:n], searchTime) != porcupine.Illegal {
		n++
	}
	var b strings.Builder
	for _, op := range history[:n] {
		fmt.Fprintf(&b, "  %s\n", op.Input)
	}
	return b.String()
}

// searchTime is for a search that takes milliseconds.
const searchTime = 20 * time.Second

// content is what the keys of a set have: the batch that wrote each.
type content [keysPerKeyset]string

var model = porcupine.Model{
	Init: func() any { return content{} },
	Step: func(state, input, _ any) (bool, any) {
		now, op := state.(content), input.(*operation)
		if op.outcome == read {
			for i := range now {
				if now[i] != op.values[i].batch {
					return false, now
				}
			}
			return true, now
		}
		holds := true
		for i := range now {
			switch {
			case op.writes[i] == leave:
			case op.onlyIf != nil:
				holds = holds && now[i] == op.onlyIf.values[i].batch
			case op.onlyNew:
				holds = holds && now[i] == ""
			}
		}
		if op.outcome == refused {
			return !holds, now
		}
		for i, what := range op.writes {
			switch what {
			case put:
				now[i] = op.id
			case remove:
				now[i] = ""
			case leave:
			}
		}
		return holds, now
	},
}

// agree says whether all replicas have the same state.
func (g *group) agree(w *World) {
	members := g.members()
	for _, n := range members {
		if held := len(n.state.spaces[store.Held]); n.state.meta.Held != uint64(held) {
			w.fail("group %d: replica %d counts %d held keys and has %d", g.id, n.id, n.state.meta.Held, held)
		}
		if first := members[0]; n.state.meta != first.state.meta || n.state.hash != first.state.hash {
			w.fail("group %d: replica %d is at %+v, hash %x, replica %d at %+v, hash %x", g.id,
				first.id, first.state.meta, first.state.hash, n.id, n.state.meta, n.state.hash)
		}
	}
}

// describe says why a world is not at rest.
func (w *World) describe() string {
	var b strings.Builder
	for _, op := range w.operations {
		if op.outcome == pending {
			fmt.Fprintf(&b, "\n  %s", op)
		}
	}
	w.each(func(n *node) {
		fmt.Fprintf(&b, "\n  group %d replica %d alive=%v %+v state %+v, %d appends, %d applies, %d attempts",
			n.group.id, n.id, n.alive, n.core.Status(), n.state.meta, len(n.appends), len(n.applies), len(n.state.spaces[store.Attempts]))
	})
	return b.String()
}
