package sim

import (
	"time"

	"github.com/sheafdb/sheaf"
)

// change is one write to a key, in the order of the group's log, which is that of the key's
// versions.
type change struct {
	value
	id string        // of the request
	at time.Duration // of the log entry that decided it
}

// sight is a key as a reader saw it: it must be some place in the key's history, and which one
// is open only if the key was not there.
type sight struct {
	key   string
	seen  value
	place int // how many of the key's changes are in it, at least
}

// checkSight says whether what an operation saw of one group can be: every value is one that
// was written, each part of a batch is there as a whole or not at all, and nothing is older
// than wanted, which is the least number of changes that must be in it. Every rule only asks
// for later places, so that the earliest that fit are looked for.
func (w *World) checkSight(op *operation, g *group, whole bool, least func([]change) int) {
	var sights []*sight
	for i, key := range keysOf(op.set) {
		if !op.asked[i] || w.groupOf(key) != g.id {
			continue
		}
		s := &sight{key: string(key), seen: op.values[i]}
		if !s.moveTo(g, least(g.history[s.key])) {
			w.fail("%s: of key %s it is older than the promise: %v", op, key, g.history[s.key])
			return
		}
		sights = append(sights, s)
	}
	for moved := whole; moved; {
		moved = false
		for _, s := range sights {
			for _, earlier := range g.history[s.key][:s.place] {
				for _, other := range sights {
					together := g.places[placeOf{earlier.id, other.key}]
					if together <= other.place {
						continue
					}
					if moved = true; !other.moveTo(g, together) {
						w.fail("%s: it has half of the part of %s in group %d: key %s and not %s", op, earlier.batch, g.id, s.key, other.key)
						return
					}
				}
			}
		}
	}
}

// moveTo finds the first place from one on that is what was seen.
func (s *sight) moveTo(g *group, least int) bool {
	history := g.history[s.key]
	for place := max(least, s.place); place <= len(history); place++ {
		if place == 0 && s.seen == (value{}) || place > 0 && history[place-1].seen() == s.seen {
			s.place = place
			return true
		}
	}
	return false
}

// seen is what a reader sees of it: of a key that was deleted nothing.
func (c change) seen() value {
	if c.batch == "" {
		return value{}
	}
	return c.value
}

// checkView judges a read by the log: see docs/guarantees.md for what each level promises.
func (w *World) checkView(op *operation) {
	for _, g := range w.groups {
		switch {
		case op.kind == scanKeys:
			// Each key is at least as new as the beginning of the scan.
			op.asked = [keysPerKeyset]bool{true, true, true, true}
			w.checkSight(op, g, false, func(history []change) int {
				least := 0
				for i, c := range history {
					if c.at < op.began {
						least = i + 1
					}
				}
				return least
			})
		case op.level == sheaf.Sequential:
			w.checkSight(op, g, true, func(history []change) int {
				least := 0
				for least < len(history) && history[least].version <= op.after {
					least++
				}
				return least
			})
		default:
			w.checkSight(op, g, true, func([]change) int { return 0 })
		}
	}
}

// checkSession wants a session that passes its version along never to see a key go back.
func (w *World) checkSession(op *operation) {
	if op.level == sheaf.Eventual || op.level == sheaf.Sequential && op.after == 0 {
		return
	}
	for i, v := range op.values {
		if op.asked[i] && v.batch != "" && v.version < op.session[i] {
			w.fail("%s: the session had seen version %d of key %d", op, op.session[i], i)
		}
	}
}

// checkLives wants every batch that a door had accepted to be written, but for what a crash
// lost: that was accepted within one window.
func (w *World) checkLives() {
	for _, l := range w.lives {
		var first, last *taken
		for i := range l.took {
			if t := &l.took[i]; !w.written(t.op) {
				w.stats.Lost++
				if first == nil {
					first = t
				}
				last = t
			}
		}
		switch {
		case first == nil:
		case !l.crashed:
			w.fail("%s: was accepted at %v, is lost, and nothing crashed", first.op, first.at)
		case last.at-first.at > window:
			w.fail("a crash lost %s, accepted at %v, and %s, accepted at %v, which is more than a window", first.op, first.at, last.op, last.at)
		}
	}
}

// written says whether a batch is in all of its groups.
func (w *World) written(op *operation) bool {
	for _, g := range w.groups {
		if w.hasPart(op, g) && g.parts[op.command.RequestID] == nil {
			return false
		}
	}
	return true
}

// hasPart says whether a batch writes keys of a group.
func (w *World) hasPart(op *operation, g *group) bool {
	for i, key := range keysOf(op.set) {
		if op.writes[i] != leave && w.groupOf(key) == g.id {
			return true
		}
	}
	return false
}
