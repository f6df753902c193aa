package sim

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/store"
)

// check judges a world that has come to rest.
func (w *World) check() {
	for _, g := range w.groups {
		g.agree(w)
	}
	for _, op := range w.operations {
		switch {
		case op.kind == batch:
			w.checkBatch(op)
			for i := range w.copies {
				w.checkCopy(&w.copies[i], op)
			}
		case op.kind == bundle:
			w.checkBundle(op)
		case w.err == nil && (op.kind == scanKeys || op.level != sheaf.Linearizable):
			w.checkView(op)
		}
	}
	w.checkLives()
	for set := range keysets {
		w.checkOrder(set)
	}
}

// checkBatch says whether a batch was written as its client was told, and each part of it at
// most once: a LINEARIZABLE one as a whole, at one version, or not at all.
func (w *World) checkBatch(op *operation) {
	wants, found := 0, 0 // groups
	for _, g := range w.groups {
		if w.hasPart(op, g) {
			wants++
		}
		told := op.parts[g.id-1]
		if op.level == sheaf.Linearizable {
			told = part{op.outcome, op.version}
		}
		wrote := g.parts[op.command.RequestID]
		if wrote == nil {
			if told.outcome == committed && w.hasPart(op, g) {
				w.fail("%s: was acknowledged at version %d and is lost in group %d", op, told.version, g.id)
			}
			continue
		}
		found++
		switch {
		case wrote.times > 1:
			w.fail("%s: was written %d times in group %d", op, wrote.times, g.id)
		case told.outcome == committed && told.version != 0 && wrote.version != told.version:
			w.fail("%s: was answered version %d and has %d in group %d", op, told.version, wrote.version, g.id)
		case told.outcome == refused:
			w.fail("%s: was said not to be written in group %d, and was", op, g.id)
		case wrote.version <= op.after:
			w.fail("%s: has version %d in group %d", op, wrote.version, g.id)
		}
	}
	if op.level == sheaf.Linearizable && found != 0 && found != wants {
		w.fail("%s: was written in %d of %d groups", op, found, wants)
	}
}

// checkOrder looks for one order of all batches and LINEARIZABLE reads of a set that agrees
// with what clients saw and when. It trusts no version. What a batch below LINEARIZABLE has in
// a group is a batch by itself.
func (w *World) checkOrder(set int) {
	var history []porcupine.Operation
	add := func(op *operation) {
		history = append(history, porcupine.Operation{
			ClientId: op.client, Input: op, Output: op, Call: int64(op.began), Return: int64(op.ended),
		})
	}
	for _, op := range w.operations {
		switch {
		case op.set != set || op.kind == scanKeys || op.kind == readKeys && op.level != sheaf.Linearizable:
		case op.kind == bundle:
			for i := range op.each {
				add(w.entryOf(op, i))
			}
		case op.level == sheaf.Linearizable:
			add(op)
		default:
			for _, g := range w.groups {
				if one := w.partOf(op, g); one != nil {
					add(one)
				}
			}
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

// partOf is what a batch was in one group, nil if nothing. Nobody sees it before the first
// replica has applied it, and then every later read does: a time that spares the search what
// waited long.
func (w *World) partOf(op *operation, g *group) *operation {
	one := *op
	for i, key := range keysOf(op.set) {
		if w.groupOf(key) != g.id {
			one.writes[i] = leave
		}
	}
	if wrote := g.parts[op.command.RequestID]; wrote != nil {
		one.outcome, one.began, one.ended = committed, wrote.at-1, wrote.at
		return &one
	}
	if op.parts[g.id-1].outcome == refused {
		one.outcome = refused
		return &one
	}
	return nil
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
				if op.asked[i] && now[i] != op.values[i].batch {
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
