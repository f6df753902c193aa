package sim

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"iter"
	"slices"
	"strings"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/apply"
	"github.com/sheafdb/sheaf/internal/coordinator"
	"github.com/sheafdb/sheaf/internal/store"
	"github.com/sheafdb/sheaf/internal/wire"
)

// small is a world so small that all that can happen in it can be tried: two groups, each a
// state machine that applies what arrives, one command after the other, without a log; a few
// coordinators and readers, which run the code that serves; and the messages between them.
// Nothing is drawn: whoever explores it chooses each move (see explore.go).
//
// An answer is heard at once or never, because what a coordinator does on hearing it leaves
// as messages that can be late. Time stands still but for one jump past all deadlines.
type small struct {
	story  *story
	groups [smallGroups]*smallGroup
	actors []*actor
	flying []*message
	nowMS  uint64
	// What may still go wrong.
	faults, deaths, jumps int

	moves int // so far, the only real time
	sent  int
	out   store.Mutations
	err   error
}

const smallGroups = 2

type smallGroup struct {
	*state
	id     uint64
	parts  map[string]*written
	latest map[string]uint64
	// changes counts what was applied to any effect: who polls needs to look again only then.
	changes int
}

// story is what happens in a small world if nothing goes wrong.
type story struct {
	name string
	acts []act
	// faults are messages lost or doubled, deaths those of coordinators.
	faults, deaths, jumps int
}

const (
	notBegun phase = iota
	calling
	waiting
	ended
	dead
)

// message is a call on its way.
type message struct {
	from    *actor
	call, n int // number of the actor's call, and which of its calls side by side
	body    coordinator.Call
	// copied: nobody hears an answer.
	copied bool
}

// mostCalls ends a coordinator that has tried for so long: its caller gives up.
const mostCalls = 9

func newSmall(st *story) *small {
	s := &small{story: st, nowMS: epochMS, faults: st.faults, deaths: st.deaths, jumps: st.jumps}
	for i := range s.groups {
		s.groups[i] = &smallGroup{state: newState(), id: uint64(i + 1), parts: make(map[string]*written), latest: make(map[string]uint64)}
		s.groups[i].meta.NowMS = epochMS
	}
	for i := range st.acts {
		a := &actor{s: s, number: i, act: &st.acts[i], op: operationOf(&st.acts[i])}
		s.actors = append(s.actors, a)
		next, stop := iter.Pull(func(yield func(struct{}) bool) {
			defer func() {
				if p := recover(); p != nil && p != errDead { //nolint:errorlint // the very value
					panic(p)
				}
			}()
			a.yield = yield
			a.run()
		})
		a.resume = func() bool {
			_, more := next()
			return more
		}
		a.stop = stop
	}
	return s
}

// close ends the coroutines.
func (s *small) close() {
	for _, a := range s.actors {
		a.stop()
	}
}

func (s *small) fail(format string, args ...any) {
	if s.err == nil {
		s.err = fmt.Errorf(format, args...)
	}
}

// smallGroupOf says where a key lives.
func smallGroupOf(key []byte) uint64 { return uint64(key[3]-'0')%smallGroups + 1 }

func (s *small) changes() (n int) {
	for _, g := range s.groups {
		n += g.changes
	}
	return n
}

// deliver has a group do what a message asks.
func (s *small) deliver(m *message) coordinator.Answered {
	g := s.groups[m.body.Group-1]
	switch {
	case m.body.Command != nil:
		return coordinator.Answered{Result: s.apply(g, m.body.Command)}
	case m.body.Status != nil:
		ask := m.body.Status
		if s.nowMS > ask.DeadlineMS && g.meta.NowMS <= ask.DeadlineMS {
			s.apply(g, &wire.Command{Kind: wire.Tick})
		}
		result, err := apply.Status(ask.RequestID, ask.Attempt, ask.DeadlineMS, ask.RetentionMS, g)
		if err != nil {
			s.fail("group %d judges: %v", g.id, err)
		}
		return coordinator.Answered{Result: result}
	}
	seen, err := apply.Collect(m.body.Collect.Keys, m.body.Collect.Values, s.nowMS, g, func(int) error { return nil })
	if err != nil {
		s.fail("group %d reads: %v", g.id, err)
	}
	return coordinator.Answered{Seen: seen}
}

func (s *small) apply(g *smallGroup, cmd *wire.Command) apply.Result {
	stamped := *cmd
	stamped.NowMS, stamped.RetentionMS, stamped.MaxRows = s.nowMS, retentionMS, 1<<20
	result, err := apply.Apply(&stamped, g.meta.Index+1, 1, g, &s.out)
	if err != nil {
		s.fail("group %d applies: %v", g.id, err)
		return result
	}
	before := g.meta
	g.state.apply(&s.out)
	if len(s.out.Ops) > 0 || g.meta.NowMS != before.NowMS {
		g.changes++
	}
	wrote := false
	version := max(cmd.Version, result.Version)
	for i := range s.out.Ops {
		if op := &s.out.Ops[i]; op.Space == store.Data {
			wrote = true
			if last := g.latest[string(op.Key)]; version <= last {
				s.fail("group %d writes key %q at version %d after version %d", g.id, op.Key, version, last)
			}
			g.latest[string(op.Key)] = version
		}
	}
	if wrote {
		if g.parts[cmd.RequestID] == nil {
			g.parts[cmd.RequestID] = &written{version: version}
		}
		g.parts[cmd.RequestID].times++
	}
	return result
}

// hash names the state of the world: two with the same have the same future.
func (s *small) hash() uint64 {
	h := fnv.New64a()
	var b []byte
	add := func(values ...uint64) {
		for _, v := range values {
			b = binary.LittleEndian.AppendUint64(b, v)
		}
	}
	add(s.nowMS, uint64(s.faults), uint64(s.deaths), uint64(s.jumps))
	for _, g := range s.groups {
		add(g.state.hash, g.meta.NowMS, g.meta.Clock, g.meta.Floor, g.meta.Held)
		for _, id := range s.ids() {
			if p := g.parts[id]; p != nil {
				add(p.version, uint64(p.times))
			}
			add(0)
		}
	}
	changes := s.changes()
	for _, a := range s.actors {
		fresh := uint64(0)
		if changes != a.saw {
			fresh = 1
		}
		add(uint64(a.phase), a.told, uint64(a.call), uint64(a.missing), fresh, uint64(a.op.outcome), a.op.version)
		if a.phase == calling {
			for i := range a.replies {
				add(hashAnswer(&a.replies[i]))
			}
		}
		for _, other := range s.actors { // who came after whom
			if other.op.ended != 0 && a.op.began > other.op.ended {
				add(uint64(other.number) + 1)
			}
		}
		add(0)
	}
	names := make([]uint64, 0, len(s.flying))
	for _, m := range s.flying {
		names = append(names, m.name())
	}
	slices.Sort(names)
	add(names...)
	_, _ = h.Write(b)
	return h.Sum64()
}

func (m *message) name() uint64 {
	name := uint64(m.from.number)<<32 | uint64(m.call)<<16 | uint64(m.n)<<1
	if m.copied {
		name |= 1
	}
	return name
}

// ids are the request IDs of the story, each once.
func (s *small) ids() (ids []string) {
	for i := range s.story.acts {
		if id := s.story.acts[i].id; id != "" && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

func hashAnswer(a *coordinator.Answered) uint64 {
	var b strings.Builder
	r := &a.Result
	fmt.Fprint(&b, a.Silent, r.Version, r.ETag, r.Replayed, sheaf.CodeOf(errorOf(r.Refused)), r.Outcome, r.Attempt, r.Clock, r.NowMS, r.Holder.RequestID, r.Holder.Attempt)
	for i := range a.Seen {
		seen := &a.Seen[i]
		fmt.Fprint(&b, seen.Version, seen.Live, string(seen.Value))
		if in := seen.Intent; in != nil {
			fmt.Fprint(&b, in.Holder.RequestID, in.Holder.Attempt, in.LowerBound, string(in.Value))
		}
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(b.String()))
	return h.Sum64()
}

// errorOf keeps a nil pointer from becoming an error that is not nil.
func errorOf(e *sheaf.Error) error {
	if e == nil {
		return nil
	}
	return e
}
