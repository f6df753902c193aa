package sim

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/sheafdb/sheaf/internal/apply"
	"github.com/sheafdb/sheaf/internal/coordinator"
	"github.com/sheafdb/sheaf/internal/store"
	"github.com/sheafdb/sheaf/internal/wire"
)

// move is one thing that can happen in a small world.
type move struct {
	what what
	// message is the name of one that is flying, actor the number of one.
	message uint64
	actor   int
}

type what byte

const (
	begin   what = iota // an actor begins
	deliver             // a message is done, and the answer heard
	lose                // a message is lost
	mute                // a message is done, and the answer lost
	double              // a message is done, the answer heard, and the message comes again
	wake                // an actor has waited
	die                 // an actor dies; what it has sent may arrive or not
	jump                // all deadlines pass
)

var whats = [...]string{"begin", "deliver", "lose", "mute", "double", "wake", "die", "jump"}

func (m move) String() string {
	switch m.what {
	case begin, wake, die:
		return fmt.Sprintf("%s %d", whats[m.what], m.actor)
	case jump:
		return whats[m.what]
	}
	return fmt.Sprintf("%s %d.%d.%d", whats[m.what], m.message>>32, m.message>>16&0xffff, m.message>>1&0x7fff)
}

// explored is what an exploration has tried.
type explored struct {
	states, ends, moves int
}

// explore tries everything that can happen in a story, depth first. A state that was there
// before is not gone on from. Coroutines cannot be copied, so a way back is the same moves
// again from the beginning.
func explore(st *story, most int) (e explored, err error) {
	seen := make(map[uint64]struct{})
	type fork struct {
		moves []move
		next  int
	}
	var path []move
	var forks []fork
	s := newSmall(st)
	defer func() { s.close() }()
	for {
		h := s.hash()
		_, again := seen[h]
		if s.err == nil && !again {
			seen[h] = struct{}{}
			e.states++
			if moves := s.choices(); len(moves) > 0 {
				forks = append(forks, fork{moves: moves})
			} else {
				e.ends++
				s.check()
			}
		}
		if s.err != nil {
			return e, fmt.Errorf("%w\nafter %s\n%s", s.err, tell(path), s)
		}
		if e.states > most {
			return e, fmt.Errorf("more than %d states", most)
		}
		back := len(forks) != len(path)+1
		for len(forks) > 0 && forks[len(forks)-1].next == len(forks[len(forks)-1].moves) {
			forks = forks[:len(forks)-1]
			back = true
		}
		if len(forks) == 0 {
			return e, nil
		}
		if back {
			path = path[:len(forks)-1]
			s.close()
			s = newSmall(st)
			for _, m := range path {
				s.do(m)
				e.moves++
			}
		}
		last := &forks[len(forks)-1]
		m := last.moves[last.next]
		last.next++
		path = append(path, m)
		s.do(m)
		e.moves++
	}
}

func tell(path []move) string {
	var b strings.Builder
	for _, m := range path {
		fmt.Fprintf(&b, "%s, ", m)
	}
	return b.String()
}

// choices are the moves that may be next; none at the end.
func (s *small) choices() (moves []move) {
	busy := len(s.flying) > 0
	for _, a := range s.actors {
		busy = busy || a.phase == notBegun && s.mayBegin(a)
	}
	for _, a := range s.actors {
		switch a.phase {
		case notBegun:
			if s.mayBegin(a) {
				moves = append(moves, move{what: begin, actor: a.number})
			}
			continue
		case waiting:
			// To look again where nothing has changed is only of use if nothing else happens.
			if !busy || s.changes() != a.saw {
				moves = append(moves, move{what: wake, actor: a.number})
			}
		case calling:
		default:
			continue
		}
		if s.deaths > 0 {
			moves = append(moves, move{what: die, actor: a.number})
		}
	}
	for _, m := range s.flying {
		name := m.name()
		moves = append(moves, move{what: deliver, message: name})
		switch {
		case m.from.phase == dead:
			moves = append(moves, move{what: lose, message: name})
		case s.faults > 0 && !m.copied:
			moves = append(moves, move{what: lose, message: name}, move{what: mute, message: name}, move{what: double, message: name})
		}
	}
	if s.jumps > 0 && len(moves) > 0 {
		moves = append(moves, move{what: jump})
	}
	return moves
}

func (s *small) mayBegin(a *actor) bool {
	return a.act.after == 0 || s.actors[a.number-1].phase >= ended
}

// do makes a move.
func (s *small) do(m move) {
	s.moves++
	var a *actor
	var msg *message
	switch m.what {
	case begin, wake, die:
		a = s.actors[m.actor]
	case jump:
		s.jumps--
		s.nowMS += 10_000
		return
	default:
		at := slices.IndexFunc(s.flying, func(f *message) bool { return f.name() == m.message })
		msg = s.flying[at]
		s.flying = slices.Delete(s.flying, at, at+1)
	}
	switch m.what {
	case begin:
		a.op.began = time.Duration(s.moves)
		s.goOn(a)
	case wake:
		s.goOn(a)
	case die:
		s.deaths--
		a.stop()
		a.phase = dead
	case deliver:
		s.hear(msg, s.deliver(msg))
	case lose:
		s.fault(msg)
		s.hear(msg, coordinator.Answered{Silent: true})
	case mute:
		s.fault(msg)
		s.deliver(msg)
		s.hear(msg, coordinator.Answered{Silent: true})
	case double:
		s.fault(msg)
		again := *msg
		again.copied = true
		s.flying = append(s.flying, &again)
		s.hear(msg, s.deliver(msg))
	}
}

// fault counts what a living actor's message has suffered.
func (s *small) fault(m *message) {
	if m.from.phase != dead {
		s.faults--
	}
}

// hear tells an actor what came of its call.
func (s *small) hear(m *message, answer coordinator.Answered) {
	a := m.from
	if m.copied || a.phase != calling || m.call != a.call {
		return
	}
	a.replies[m.n] = answer
	if a.missing--; a.missing > 0 {
		return
	}
	h := fnv.New64a()
	b := binary.LittleEndian.AppendUint64(nil, a.told)
	for i := range a.replies {
		b = binary.LittleEndian.AppendUint64(b, hashAnswer(&a.replies[i]))
	}
	// What it decides depends on the time too.
	b = binary.LittleEndian.AppendUint64(b, s.nowMS)
	_, _ = h.Write(b)
	a.told = h.Sum64()
	s.goOn(a)
}

func (s *small) goOn(a *actor) {
	if a.phase == waiting {
		a.told = a.told*31 + s.nowMS
	}
	if !a.resume() {
		a.phase = ended
	}
}

// check judges a world at its end: what is left is tidied up first, as the groups' leaders
// would.
func (s *small) check() {
	s.nowMS += 60_000
	for range 4 {
		for _, g := range s.groups {
			s.apply(g, &wire.Command{Kind: wire.Tick})
			overdue, err := apply.FindOverdue(s.nowMS, coordinator.MaxTidy, g)
			if err != nil {
				s.fail("group %d tidies: %v", g.id, err)
				return
			}
			coordinator.Tidy(atOnce{s}, g.id, smallGroupOf, overdue)
		}
	}
	final := &operation{kind: readKeys, outcome: read, asked: [keysPerKeyset]bool{true, true, true, true}}
	for i, key := range keysOf(0) {
		g := s.groups[smallGroupOf(key)-1]
		if len(g.spaces[store.Attempts]) > 0 {
			s.fail("group %d still has attempts", g.id)
		}
		seen := s.deliver(&message{body: coordinator.Call{Group: g.id, Collect: &coordinator.CollectCall{Keys: [][]byte{key}, Values: true}}}).Seen[0]
		if seen.Live {
			final.values[i] = value{string(seen.Value), seen.Version}
		}
	}
	for _, a := range s.actors {
		if a.op.kind == batch {
			s.checkBatch(a.op)
		}
	}
	s.checkOrder(final)
}

func (s *small) checkBatch(op *operation) {
	found := 0
	for _, g := range s.groups {
		wrote := g.parts[op.id]
		if wrote == nil {
			continue
		}
		found++
		switch {
		case wrote.times > 1:
			s.fail("%s: was written %d times in group %d", op, wrote.times, g.id)
		case op.outcome == committed && op.version != wrote.version:
			s.fail("%s: has version %d in group %d", op, wrote.version, g.id)
		}
	}
	switch {
	case found != 0 && found != smallGroups:
		s.fail("%s: was written in %d groups", op, found)
	case op.outcome == committed && found == 0:
		s.fail("%s: was acknowledged and is lost", op)
	case op.outcome == refused && found > 0:
		s.fail("%s: was said not to be written, and was", op)
	}
}

// checkOrder looks for one order of all that agrees with what clients saw, and the state at
// the end. One batch may have had several coordinators.
func (s *small) checkOrder(final *operation) {
	never := int64(s.moves) + 1
	history := []porcupine.Operation{{Input: final, Output: final, Call: never + 1, Return: never + 2}}
	batches := make(map[string]int)
	for _, a := range s.actors {
		began, finished := int64(a.op.began), never
		if a.op.outcome != pending {
			finished = int64(a.op.ended)
		}
		op := *a.op
		switch {
		case op.kind == readKeys && op.outcome == pending:
			continue
		case op.kind == readKeys || op.outcome == refused:
		case s.groups[0].parts[op.id] == nil:
			continue
		default:
			op.outcome = committed
			if at, twice := batches[op.id]; twice {
				one := &history[at]
				one.Call, one.Return = min(one.Call, began), min(one.Return, finished)
				continue
			}
			batches[op.id] = len(history)
		}
		history = append(history, porcupine.Operation{ClientId: a.number + 1, Input: &op, Output: &op, Call: began, Return: finished})
	}
	if porcupine.CheckOperationsTimeout(model, history, searchTime) != porcupine.Ok {
		s.fail("no order of these operations agrees with what clients saw:\n%s", shortest(history))
	}
}

// atOnce is a carrier without faults, of who tidies up at the end.
type atOnce struct{ s *small }

// Call is part of coordinator.Carrier.
func (c atOnce) Call(calls []coordinator.Call) []coordinator.Answered {
	replies := make([]coordinator.Answered, len(calls))
	for i := range calls {
		replies[i] = c.s.deliver(&message{body: calls[i]})
	}
	return replies
}

// Later is part of coordinator.Carrier.
func (c atOnce) Later(call coordinator.Call) { c.Call([]coordinator.Call{call}) }

// Wait is part of coordinator.Carrier.
func (c atOnce) Wait(int) {}

// Now is part of coordinator.Carrier.
func (c atOnce) Now() time.Time { return time.UnixMilli(int64(c.s.nowMS)) }

// Random is part of coordinator.Carrier.
func (c atOnce) Random() uint64 { return 1 }

// Over is part of coordinator.Carrier.
func (c atOnce) Over() bool { return false }

// String tells what the operations have come to.
func (s *small) String() string {
	var b strings.Builder
	for _, a := range s.actors {
		fmt.Fprintf(&b, "  %d: %s\n", a.number, a.op)
	}
	return b.String()
}
