package feed

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/wire"
)

// A world is what the groups of a cluster have committed: logs in one real order. Every node plays
// the logs to its feed at a pace of its own.
type world struct {
	groups  int
	logs    [][]entry // of each group; entry i is at index i+1
	keys    map[string]uint64
	version uint64
	held    map[string]bool
	open    []*spread
	begun   int
	batches []batch
	// state is what each group's log has made of its keys, after each of its entries.
	state [][]map[string]uint64
}

type entry struct {
	tell func(l *Lane, index uint64)
	// changes are the keys that it writes, 0 for a delete.
	changes map[string]uint64
}

// batch is one that was committed, or keys that expired.
type batch struct {
	home    uint64
	index   uint64
	sub     uint64
	version uint64
	keys    []string // with a mark for deletes
}

func (b *batch) name() string { return fmt.Sprint(b.home, " ", b.index, " ", b.sub) }

// spread is a batch over several groups that is on its way.
type spread struct {
	id       string
	keys     map[uint64]string
	prepared []uint64
	version  uint64
	decided  bool
	left     []uint64
}

func groupOf(key []byte) uint64 { return uint64(key[0] - '0') }

func newWorld(groups int) *world {
	w := &world{groups: groups, logs: make([][]entry, groups), keys: make(map[string]uint64), held: make(map[string]bool), state: make([][]map[string]uint64, groups)}
	for g := range w.state {
		w.state[g] = []map[string]uint64{{}}
	}
	return w
}

// log appends to a group's log and returns the index.
func (w *world) log(group uint64, e entry) uint64 {
	w.logs[group-1] = append(w.logs[group-1], e)
	states := w.state[group-1]
	next := make(map[string]uint64)
	for k, v := range states[len(states)-1] {
		next[k] = v
	}
	for k, v := range e.changes {
		if v == 0 {
			delete(next, k)
		} else {
			next[k] = v
		}
	}
	w.state[group-1] = append(states, next)
	return uint64(len(w.logs[group-1]))
}

func puts(keys ...string) wire.Entries {
	var raw []byte
	for _, key := range keys {
		raw = wire.AppendEntry(raw, &wire.Entry{Key: []byte(key), Value: []byte("v")})
	}
	return wire.Canonical(raw)
}

func deletes(keys ...string) wire.Entries {
	var raw []byte
	for _, key := range keys {
		raw = wire.AppendEntry(raw, &wire.Entry{Key: []byte(key), Delete: true})
	}
	return wire.Canonical(raw)
}

// step lets something happen.
func (w *world) step(t *rapid.T) {
	group := uint64(rapid.IntRange(1, w.groups).Draw(t, "group"))
	key := func(g uint64) string { return fmt.Sprintf("%d/%d", g, rapid.IntRange(0, 2).Draw(t, "key")) }
	switch what := rapid.IntRange(0, 9).Draw(t, "what"); {
	case what == 0:
		w.bundle(t, group, key)
	case what < 3:
		w.write(group, key(group))
	case what == 3:
		w.log(group, entry{tell: func(l *Lane, index uint64) { l.Passed(index) }})
	case what == 4:
		if k := key(group); !w.held[k] && w.keys[k] > 0 {
			w.keys[k] = 0
			index := w.log(group, entry{
				tell:    func(l *Lane, index uint64) { l.Expired(index, deletes(k)) },
				changes: map[string]uint64{k: 0},
			})
			w.batches = append(w.batches, batch{home: group, index: index, sub: whole, keys: []string{"-" + k}})
		}
	case what < 7 && w.groups > 1:
		w.begin(t, key)
	default:
		w.goOn(t)
	}
}

func (w *world) write(group uint64, key string) {
	if w.held[key] {
		return
	}
	w.version++
	version := w.version
	w.keys[key] = version
	index := w.log(group, entry{
		tell:    func(l *Lane, index uint64) { l.Wrote(index, version, puts(key)) },
		changes: map[string]uint64{key: version},
	})
	w.batches = append(w.batches, batch{home: group, index: index, sub: whole, version: version, keys: []string{key}})
}

// bundle is some writes in one log entry, of which some were refused.
func (w *world) bundle(t *rapid.T, group uint64, key func(uint64) string) {
	var raw []byte
	var versions []uint64
	var made []batch
	changes := make(map[string]uint64)
	for range rapid.IntRange(1, 4).Draw(t, "writes") {
		k := key(group)
		if w.held[k] {
			return
		}
		raw = wire.AppendEntry(raw, &wire.Entry{Key: []byte(k), Value: []byte("v")})
		if rapid.IntRange(0, 3).Draw(t, "refused") == 0 {
			versions = append(versions, 0)
			continue
		}
		w.version++
		versions = append(versions, w.version)
		changes[k] = w.version
		made = append(made, batch{home: group, sub: uint64(len(made) + 1), version: w.version, keys: []string{k}})
	}
	for k, v := range changes {
		w.keys[k] = v
	}
	index := w.log(group, entry{
		tell:    func(l *Lane, index uint64) { l.WroteEach(index, versions, wire.Gathered(raw, len(versions))) },
		changes: changes,
	})
	for i := range made {
		made[i].index = index
	}
	if len(made) > 0 {
		made[len(made)-1].sub = whole
	}
	w.batches = append(w.batches, made...)
}

func (w *world) begin(t *rapid.T, key func(uint64) string) {
	w.begun++
	s := &spread{id: fmt.Sprint("r", w.begun), keys: make(map[uint64]string)}
	for g := 1; g <= w.groups; g++ {
		if k := key(uint64(g)); !w.held[k] && rapid.Bool().Draw(t, "takes part") {
			s.keys[uint64(g)] = k
			w.held[k] = true
		}
	}
	if len(s.keys) < 2 {
		for _, k := range s.keys {
			w.held[k] = false
		}
		return
	}
	w.open = append(w.open, s)
}

// goOn takes the next step of a batch over several groups.
func (w *world) goOn(t *rapid.T) {
	if len(w.open) == 0 {
		return
	}
	at := rapid.IntRange(0, len(w.open)-1).Draw(t, "which")
	s := w.open[at]
	var all []uint64
	for g := 1; g <= w.groups; g++ {
		if s.keys[uint64(g)] != "" {
			all = append(all, uint64(g))
		}
	}
	home := all[0]
	switch {
	case len(s.prepared) < len(all):
		g := all[len(s.prepared)]
		s.prepared = append(s.prepared, g)
		w.log(g, entry{tell: func(l *Lane, index uint64) { l.Prepared(index, s.id, 1, puts(s.keys[g])) }})
	case !s.decided && s.left == nil && rapid.IntRange(0, 3).Draw(t, "abort") == 0:
		s.left = all
	case !s.decided && s.left == nil:
		w.version++
		version := w.version
		s.version, s.decided, s.left = version, true, slices.Clone(all[1:])
		var keys [][]byte
		var names []string
		for _, g := range all {
			keys, names = append(keys, []byte(s.keys[g])), append(names, s.keys[g])
			w.keys[s.keys[g]] = version
		}
		index := w.log(home, entry{
			tell: func(l *Lane, index uint64) {
				l.Decided(index, s.id, 1, version, keys, func() wire.Entries { return puts(s.keys[home]) })
			},
			changes: map[string]uint64{s.keys[home]: version},
		})
		w.held[s.keys[home]] = false
		w.batches = append(w.batches, batch{home: home, index: index, sub: whole, version: version, keys: names})
	default:
		g := s.left[0]
		s.left = s.left[1:]
		e := entry{tell: func(l *Lane, index uint64) {
			l.Resolved(index, s.id, 1, s.decided, func() wire.Entries { return puts(s.keys[g]) })
		}}
		if s.decided {
			e.changes = map[string]uint64{s.keys[g]: s.version}
		}
		w.log(g, e)
		w.held[s.keys[g]] = false
	}
	if s.left != nil && len(s.left) == 0 {
		w.open = slices.Delete(w.open, at, at+1)
	}
}

// settle ends what is on its way.
func (w *world) settle(t *rapid.T) {
	for len(w.open) > 0 {
		w.goOn(t)
	}
}

// player tells one node's feed what the logs have.
type player struct {
	*Feed
	w  *world
	at []uint64
}

func (w *world) player(from []uint64, bytes int64) *player {
	p := &player{Feed: New(Config{Groups: w.groups, GroupOf: groupOf, Bytes: bytes, Tag: "t"}), w: w, at: slices.Clone(from)}
	for g := range w.groups {
		p.lanes[g].Begin(from[g])
	}
	return p
}

// play goes on with one group, if there is more.
func (p *player) play(group int) {
	if i := p.at[group]; i < uint64(len(p.w.logs[group])) {
		p.at[group]++
		p.w.logs[group][i].tell(p.lanes[group], i+1)
	}
}

func (p *player) playAll(t *rapid.T) {
	for {
		var left []int
		for g := range p.at {
			if p.at[g] < uint64(len(p.w.logs[g])) {
				left = append(left, g)
			}
		}
		if len(left) == 0 {
			return
		}
		p.play(rapid.SampledFrom(left).Draw(t, "plays"))
	}
}

// enough makes a reader return at once when it has seen all.
var enough = func() <-chan time.Time {
	c := make(chan time.Time)
	close(c)
	return c
}()

func keysOf(e Event) (keys []string) {
	for _, p := range append([]*Part{&e.Part}, e.Others...) {
		for _, entry := range p.Entries.All() {
			if entry.Delete {
				keys = append(keys, "-"+string(entry.Key))
			} else {
				keys = append(keys, string(entry.Key))
			}
		}
	}
	return keys
}

// many makes more checks than is rapid's habit: each takes a fraction of a millisecond.
func many(t *testing.T, check func(*rapid.T)) {
	for range 10 {
		rapid.Check(t, check)
	}
}

// TestEveryBatchIsSeenOnceAndInOrder: on whichever nodes a reader is, one after the other.
func TestEveryBatchIsSeenOnceAndInOrder(t *testing.T) {
	many(t, func(t *rapid.T) {
		w := newWorld(rapid.IntRange(1, 3).Draw(t, "groups"))
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			w.step(t)
		}
		w.settle(t)
		nodes := make([]*player, 3)
		for i := range nodes {
			nodes[i] = w.player(make([]uint64, w.groups), 1<<20)
		}
		defer func() {
			for _, node := range nodes {
				node.Free()
			}
		}()
		reader, err := nodes[0].Oldest()
		if err != nil {
			t.Fatal(err)
		}
		var seen []batch
		for moves := 0; len(seen) < len(w.batches); {
			node := nodes[moves%len(nodes)]
			for range rapid.IntRange(0, 5).Draw(t, "ahead") {
				node.play(rapid.IntRange(0, w.groups-1).Draw(t, "group"))
			}
			for range rapid.IntRange(1, 4).Draw(t, "reads") {
				e, ok, err := reader.Next(context.Background(), enough)
				if err != nil {
					t.Fatal(err)
				}
				if !ok {
					node.playAll(t) // or it waits for ever
					continue
				}
				seen = append(seen, batch{home: e.Group, index: e.Place.Index, sub: e.Place.Sub, version: e.Version, keys: keysOf(e)})
				e.Release()
			}
			if rapid.Bool().Draw(t, "moves") {
				token := reader.Token()
				reader.Close()
				moves++
				next := nodes[moves%len(nodes)]
				for g, place := range mustDecode(t, token, w.groups).Seen {
					for next.at[g] < place.Index { // as Current does, and all that was committed
						next.play(g)
					}
				}
				if reader, err = next.From(token); err != nil {
					t.Fatal(err)
				}
			}
		}
		check(t, w, seen)
	})
}

func mustDecode(t *rapid.T, token string, groups int) Token {
	decoded, ours, err := decode(token, "t", groups)
	if err != nil || !ours {
		t.Fatalf("token %q: %v", token, err)
	}
	return decoded
}

// check compares what a reader has seen with what was committed.
func check(t *rapid.T, w *world, seen []batch) {
	want := make(map[string]batch)
	for _, b := range w.batches {
		want[b.name()] = b
	}
	last, versions := make(map[uint64]Place), make(map[string]uint64)
	for _, b := range seen {
		name := b.name()
		committed, ok := want[name]
		if !ok {
			t.Fatalf("%v was never committed, or came twice", b)
		}
		delete(want, name)
		slices.Sort(b.keys)
		slices.Sort(committed.keys)
		if b.version != committed.version || !slices.Equal(b.keys, committed.keys) {
			t.Fatalf("%v, want %v", b, committed)
		}
		if at := (Place{b.index, b.sub}); !last[b.home].before(at) {
			t.Fatalf("%v of group %d comes after %v", at, b.home, last[b.home])
		}
		last[b.home] = Place{b.index, b.sub}
		for _, key := range b.keys {
			if b.version != 0 && b.version <= versions[key] {
				t.Fatalf("key %s: version %d comes after %d", key, b.version, versions[key])
			}
			versions[key] = max(versions[key], b.version)
		}
	}
	if len(want) > 0 {
		t.Fatalf("never seen: %v", want)
	}
}

// TestAScanAndAWatchMakeThePicture: no change is missing between them, and none comes twice.
func TestAScanAndAWatchMakeThePicture(t *testing.T) {
	many(t, func(t *rapid.T) {
		w := newWorld(rapid.IntRange(1, 3).Draw(t, "groups"))
		some := func() {
			for range rapid.IntRange(0, 20).Draw(t, "steps") {
				w.step(t)
			}
		}
		some()
		ends := func() (ends []uint64) {
			for g := range w.logs {
				ends = append(ends, uint64(len(w.logs[g])))
			}
			return ends
		}
		before, read := ends(), make([]uint64, w.groups)
		picture := make(map[string]uint64)
		for g := range w.groups {
			some()
			w.resolveCommitted(uint64(g + 1))
			read[g] = uint64(len(w.logs[g]))
			for k, v := range w.state[g][read[g]] {
				picture[k] = v
			}
		}
		if w.groups == 1 {
			before = read
		}
		some()
		w.settle(t)
		node := w.player(make([]uint64, w.groups), 1<<20)
		defer node.Free()
		token := node.ScanToken(before, read)
		for g := range w.groups {
			for node.at[g] < before[g] {
				node.play(g)
			}
		}
		reader, err := node.From(token)
		if err != nil {
			t.Fatal(err)
		}
		for done := false; !done; {
			for range rapid.IntRange(0, 8).Draw(t, "ahead") {
				node.play(rapid.IntRange(0, w.groups-1).Draw(t, "group"))
			}
			e, ok, err := reader.Next(context.Background(), enough)
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				done = slices.Equal(node.at, ends())
				if !done {
					node.play(rapid.IntRange(0, w.groups-1).Draw(t, "group"))
				}
				continue
			}
			for _, key := range keysOf(e) {
				if name, gone := strings.CutPrefix(key, "-"); gone {
					if picture[name] == 0 {
						t.Fatalf("key %s is removed twice", name)
					}
					delete(picture, name)
				} else if picture[key] >= e.Version {
					t.Fatalf("key %s at version %d comes again", key, e.Version)
				} else {
					picture[key] = e.Version
				}
			}
			e.Release()
			if rapid.IntRange(0, 3).Draw(t, "again") == 0 {
				text := reader.Token()
				reader.Close()
				if reader, err = node.From(text); err != nil {
					t.Fatal(err)
				}
			}
		}
		for g := range w.groups {
			for k, v := range w.state[g][len(w.logs[g])] {
				if picture[k] != v {
					t.Fatalf("key %s is at version %d, not %d", k, v, picture[k])
				}
				delete(picture, k)
			}
		}
		if len(picture) > 0 {
			t.Fatalf("%v should be gone", picture)
		}
	})
}

// resolveCommitted resolves in a group what was decided, as a scan does first.
func (w *world) resolveCommitted(group uint64) {
	for _, s := range slices.Clone(w.open) {
		at := slices.Index(s.left, group)
		if !s.decided || at < 0 {
			continue
		}
		s.left = slices.Delete(s.left, at, at+1)
		w.log(group, entry{
			tell: func(l *Lane, index uint64) {
				l.Resolved(index, s.id, 1, true, func() wire.Entries { return puts(s.keys[group]) })
			},
			changes: map[string]uint64{s.keys[group]: s.version},
		})
		w.held[s.keys[group]] = false
		if len(s.left) == 0 {
			w.open = slices.DeleteFunc(w.open, func(o *spread) bool { return o == s })
		}
	}
}

// TestWhoFallsBehindIsTold: never a silent gap, whatever is dropped, skipped or given up.
func TestWhoFallsBehindIsTold(t *testing.T) {
	many(t, func(t *rapid.T) {
		w := newWorld(rapid.IntRange(1, 3).Draw(t, "groups"))
		for range rapid.IntRange(10, 80).Draw(t, "steps") {
			w.step(t)
		}
		w.settle(t)
		from := make([]uint64, w.groups)
		for g := range from {
			from[g] = uint64(rapid.IntRange(0, len(w.logs[g])/2).Draw(t, "from"))
		}
		node := w.player(from, int64(rapid.IntRange(1000, 4000).Draw(t, "bytes")))
		defer node.Free()
		reader, err := node.Oldest()
		if err != nil {
			t.Fatal(err)
		}
		seen, told := []batch(nil), false
		for idle := 0; idle < 3 && !told; {
			switch rapid.IntRange(0, 12).Draw(t, "happens") {
			case 0:
				node.Recovered()
			case 1:
				g := rapid.IntRange(0, w.groups-1).Draw(t, "jumps")
				if to := node.at[g] + uint64(rapid.IntRange(1, 5).Draw(t, "by")); to <= uint64(len(w.logs[g])) {
					node.at[g] = to
					node.lanes[g].Jumped(to)
				}
			case 2, 3, 4:
				e, ok, err := reader.Next(context.Background(), enough)
				switch {
				case sheaf.CodeOf(err) == sheaf.Compacted && err != nil:
					told = true
				case err != nil:
					t.Fatal(err)
				case ok:
					seen = append(seen, batch{home: e.Group, index: e.Place.Index, sub: e.Place.Sub, version: e.Version, keys: keysOf(e)})
					e.Release()
				default:
					done := true
					for g := range node.at {
						done = done && node.at[g] == uint64(len(w.logs[g]))
					}
					if done {
						node.Recovered()
						idle++
					}
				}
			default:
				node.play(rapid.IntRange(0, w.groups-1).Draw(t, "group"))
			}
		}
		node.mustCountRight(t)
		// What was seen has no gap: all of a group's batches between the first that the reader could
		// see and the last that it saw.
		last, got := make(map[uint64]Place), make(map[string]bool)
		for i, b := range seen {
			for _, before := range seen[:i] {
				for _, key := range b.keys {
					if b.version != 0 && before.version > b.version && slices.Contains(before.keys, key) {
						t.Fatalf("key %s: version %d comes after %d", key, b.version, before.version)
					}
				}
			}
			last[b.home] = Place{b.index, b.sub}
			got[b.name()] = true
		}
		if !told {
			for g := range node.at {
				last[uint64(g+1)] = through(node.at[g])
			}
		}
		for _, b := range w.batches {
			if b.index > from[b.home-1] && !last[b.home].before(Place{b.index, b.sub}) && !got[b.name()] {
				t.Fatalf("%v is missing, and nobody said so (base %v)", b, node.bases())
			}
		}
	})
}

// mustCountRight compares what is counted with what is there.
func (p *player) mustCountRight(t *rapid.T) {
	bytes := int64(0)
	for i := range p.events.count {
		bytes += p.events.at(i).bytes()
	}
	for _, lane := range p.lanes {
		for _, s := range lane.attempts {
			if !s.out {
				bytes += s.size
			}
		}
		for _, r := range lane.queue {
			for i := range r.events {
				bytes += r.events[i].bytes()
			}
		}
	}
	if counted, _ := p.Load(); counted != bytes {
		t.Fatalf("%d bytes are counted, and %d are there", counted, bytes)
	}
}
