package wal

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// model is what a log must hold: what was acknowledged, and what is under way.
type model struct {
	mu     sync.Mutex
	groups map[uint64]*modelGroup
	// flying is the batch of the Append that is running.
	flying       []Entry
	flyingStates []HardState
	// written has every payload that was ever handed to the log.
	written map[string]bool
}

type modelGroup struct {
	cut     uint64
	entries []Entry // entries[0] has index cut+1
	state   HardState
}

func newModel() *model {
	return &model{groups: make(map[uint64]*modelGroup), written: make(map[string]bool)}
}

func (m *model) group(id uint64) *modelGroup {
	if m.groups[id] == nil {
		m.groups[id] = &modelGroup{state: HardState{Group: id}}
	}
	return m.groups[id]
}

func (g *modelGroup) last() uint64 { return g.cut + uint64(len(g.entries)) }

func (g *modelGroup) append(e Entry) {
	if g.last() == 0 {
		g.cut = e.Index - 1
	}
	if e.Index > g.cut {
		g.entries = append(slices.Clip(g.entries[:e.Index-g.cut-1]), e)
	}
}

func (g *modelGroup) cutTo(index uint64) {
	if index <= g.cut {
		return
	}
	g.entries = g.entries[min(index-g.cut, uint64(len(g.entries))):]
	g.cut = index
}

// check says how the log differs from the model: it must have every
// acknowledged entry that is not cut, a prefix of the batch under way, and
// nothing that was not written.
func (m *model) check(l *Log, got []Entry) error {
	found := make(map[uint64][]Entry)
	for _, e := range got {
		if !m.written[string(e.Body)] {
			return fmt.Errorf("group %d: entry %d was never written", e.Group, e.Index)
		}
		if g := m.groups[e.Group]; g != nil && e.Index > g.cut {
			found[e.Group] = append(found[e.Group], e)
		}
	}
	states := make(map[uint64]HardState)
	want := make(map[uint64]*modelGroup)
	for id, g := range m.groups {
		want[id] = &modelGroup{cut: g.cut, entries: g.entries}
		states[id] = g.state
	}
	matches := func() error {
		for id, g := range want {
			equal := func(a, b Entry) bool {
				return a.Index == b.Index && a.Term == b.Term && bytes.Equal(a.Body, b.Body)
			}
			if !slices.EqualFunc(g.entries, found[id], equal) {
				return fmt.Errorf("group %d has entries %s, want %s", id, indexes(found[id]), indexes(g.entries))
			}
		}
		return nil
	}
	err := matches()
	for _, e := range m.flying {
		if err == nil {
			break
		}
		want[e.Group].append(e)
		err = matches()
	}
	if err != nil {
		return err
	}
	for id, s := range states {
		got := l.HardState(id)
		if got != s && !slices.Contains(m.flyingStates, got) {
			return fmt.Errorf("group %d has hard state %+v, want %+v", id, got, s)
		}
	}
	return nil
}

func indexes(entries []Entry) string {
	var b bytes.Buffer
	for _, e := range entries {
		fmt.Fprintf(&b, "%d(term %d) ", e.Index, e.Term)
	}
	return b.String()
}

// settle makes what a log was opened with the acknowledged state.
func (m *model) settle(l *Log, got []Entry) {
	m.flying, m.flyingStates = nil, nil
	for id, g := range m.groups {
		g.entries, g.state, g.cut = nil, l.HardState(id), 0
		if x := l.index.groups[id]; x != nil {
			g.cut = x.cut
		}
	}
	for _, e := range got {
		g := m.group(e.Group)
		g.entries = append(g.entries, e)
	}
}

// life runs random operations on a log over file systems that crash.
type life struct {
	t     *testing.T
	rng   *rand.Rand
	cfg   Config
	mem   *vfs.MemFS
	log   *Log
	model *model
	n     int // payloads made

	// The background goroutine runs the hook too, so the fields below and the
	// model are guarded by model.mu, and the random source is the hook's own.
	hookRng   *rand.Rand
	every     int // one of so many file operations is followed by a crash
	crashes   int
	crashFail error
}

func (f *life) open(mem *vfs.MemFS) []Entry {
	f.mem = mem
	f.cfg.FS = errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
			f.hook(mem, op)
		}
		return nil
	}))
	l, got, err := tryOpen(f.cfg)
	if err != nil {
		f.t.Fatal(err)
	}
	f.log = l
	return got
}

// hook looks what a crash right before this file operation leaves.
func (f *life) hook(mem *vfs.MemFS, op errorfs.Op) {
	f.model.mu.Lock()
	defer f.model.mu.Unlock()
	if f.every == 0 || f.crashFail != nil || f.hookRng.IntN(f.every) != 0 {
		return
	}
	f.crashes++
	if err := f.checkCrash(mem); err != nil {
		f.crashFail = fmt.Errorf("crash before operation %d on %s: %w", op.Kind, op.Path, err)
	}
}

// checkCrash opens what crashes leave that keep nothing, some, and all of what
// was not synced.
func (f *life) checkCrash(mem *vfs.MemFS) error {
	for _, percent := range []int{0, 50, 100} {
		cfg := f.cfg
		cfg.Spares = -1
		cfg.FS = mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: f.hookRng})
		l, got, err := tryOpen(cfg)
		if err == nil {
			err = f.model.check(l, got)
		}
		if err == nil {
			err = l.Close()
		}
		if err != nil {
			return fmt.Errorf("with %d %% of unsynced data: %w", percent, err)
		}
	}
	return nil
}

func (f *life) append(entries []Entry, states []HardState) {
	m := f.model
	m.mu.Lock()
	for _, e := range entries {
		m.group(e.Group)
		m.written[string(e.Body)] = true
	}
	m.flying, m.flyingStates = entries, states
	for _, s := range states {
		m.group(s.Group)
	}
	m.mu.Unlock()
	if err := f.log.Append(entries, states); err != nil {
		f.t.Fatal(err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.flying, m.flyingStates = nil, nil
	for _, e := range entries {
		m.group(e.Group).append(e)
	}
	for _, s := range states {
		m.group(s.Group).state = s
	}
}

func (f *life) cut(group, index uint64) {
	f.model.mu.Lock()
	f.model.group(group).cutTo(index)
	f.model.mu.Unlock()
	if err := f.log.Cut(group, index); err != nil {
		f.t.Fatal(err)
	}
}

// batch makes random entries that continue, replace, or follow a cut.
func (f *life) batch() []Entry {
	f.model.mu.Lock()
	defer f.model.mu.Unlock()
	var entries []Entry
	next := make(map[uint64]uint64)
	for range 1 + f.rng.IntN(4) {
		id := uint64(1 + f.rng.IntN(3))
		g := f.model.group(id)
		at, ok := next[id]
		if !ok {
			at = g.last() + 1
			if len(g.entries) > 3 && f.rng.IntN(4) == 0 {
				at -= uint64(1 + f.rng.IntN(3))
			}
			if g.last() == 0 {
				at = uint64(1 + f.rng.IntN(50))
			}
		}
		next[id] = at + 1
		size := f.rng.IntN(200)
		if f.rng.IntN(10) == 0 {
			size = f.rng.IntN(6000)
		}
		f.n++
		body := append(fmt.Appendf(nil, "payload %d of group %d ", f.n, id), make([]byte, size)...)
		entries = append(entries, Entry{Group: id, Term: uint64(f.n), Index: at, Body: body})
	}
	return entries
}

// step does one random thing.
func (f *life) step() {
	switch p := f.rng.IntN(100); {
	case p < 70:
		var states []HardState
		if f.rng.IntN(3) == 0 {
			f.n++
			states = append(states, HardState{Group: uint64(1 + f.rng.IntN(4)), Term: uint64(f.n), Vote: 2, Commit: 3})
		}
		f.append(f.batch(), states)
	case p < 80:
		if err := f.log.MarkIdle(); err != nil {
			f.t.Fatal(err)
		}
	case p < 96:
		ids := slices.Sorted(maps.Keys(f.model.groups))
		if len(ids) == 0 {
			return
		}
		for _, id := range ids {
			g := f.model.groups[id]
			f.cut(id, g.last()-uint64(f.rng.IntN(len(g.entries)+1)))
		}
		if f.rng.IntN(5) == 0 { // a snapshot beyond the end
			f.cut(ids[0], f.model.groups[ids[0]].last()+uint64(f.rng.IntN(20)))
		}
	default:
		next := f.mem
		if p >= 98 {
			next = f.mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: []int{0, 50, 100}[f.rng.IntN(3)], RNG: f.rng})
		}
		if err := f.log.Close(); err != nil {
			f.t.Fatal(err)
		}
		got := f.open(next)
		f.check(got)
		f.model.mu.Lock()
		f.model.settle(f.log, got)
		f.model.mu.Unlock()
	}
	f.model.mu.Lock()
	defer f.model.mu.Unlock()
	if f.crashFail != nil {
		f.t.Fatal(f.crashFail)
	}
}

func (f *life) check(got []Entry) {
	f.t.Helper()
	f.model.mu.Lock()
	defer f.model.mu.Unlock()
	if err := f.model.check(f.log, got); err != nil {
		f.t.Fatal(err)
	}
}
