package pebble

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/sheafdb/sheaf/internal/store"
)

func mutations(index uint64, ops ...store.Op) *store.Mutations {
	return &store.Mutations{Meta: store.Meta{Index: index}, Ops: ops}
}

func put(space store.Space, key, value string) store.Op {
	return store.Op{Space: space, Key: []byte(key), Value: []byte(value)}
}

// stageWith applies log entries, numbered from 1, to a stage that nobody drains.
func stageWith(runBytes int, entries ...[]store.Op) *stage {
	g := &stage{}
	g.init(store.Meta{}, runBytes)
	for i, ops := range entries {
		m := mutations(uint64(i+1), ops...)
		size := 0
		var hashes []uint64
		for n := range ops {
			size += recordBytes(&ops[n])
			hashes = append(hashes, hashOf(ops[n].Space, ops[n].Key))
		}
		r, _, err := g.room(size)
		if err != nil || r == nil {
			panic(fmt.Sprint("no room: ", err))
		}
		r.write(m, hashes)
		g.commit(m.Meta)
	}
	return g
}

func TestScanOfTheStageIsOneInstant(t *testing.T) {
	g := stageWith(64<<10,
		[]store.Op{put(store.Data, "b", "1"), put(store.Data, "a", "1"), put(store.Rows, "r", "1")},
		[]store.Op{put(store.Data, "b", "2"), {Space: store.Data, Key: []byte("a"), Delete: true}, put(store.Data, "c", "2")})
	lower := spaceKey(store.Data, nil)
	for index, want := range map[uint64]string{0: "", 1: "a=1 b=1 ", 2: "a- b=2 c=2 "} {
		got := ""
		for _, rec := range g.set.sorted(store.Data, nil, successor(lower), index) {
			if rec.deletes() {
				got += fmt.Sprintf("%s- ", rec.key())
				continue
			}
			got += fmt.Sprintf("%s=%s ", rec.key(), rec.value())
		}
		if got != want {
			t.Errorf("as of log entry %d: %q, want %q", index, got, want)
		}
	}
}

// TestRunsAreSortedAsOnDisk: the order of a write batch is what makes it cheap.
func TestRunsAreSortedAsOnDisk(t *testing.T) {
	var ops []store.Op
	for _, space := range []store.Space{store.Due, store.Rows, store.Data} {
		for _, key := range []string{"common/b", "common/a", "common/", "common/a\x00", "common/aaaaaaaaaaaa2", "common/aaaaaaaaaaaa1", "common/\xff"} {
			ops = append(ops, put(space, key, "old"), put(space, key, "new"))
		}
	}
	g := stageWith(64<<10, ops)
	r := g.set.runs[0]
	var sorted sorter
	var keys [][]byte
	for _, item := range sorted.sort(r) {
		rec := r.at(item.address)
		if string(rec.value()) != "new" {
			t.Errorf("key %q has the value %q", rec.key(), rec.value())
		}
		keys = append(keys, spaceKey(rec.space(), rec.key()))
	}
	if len(keys) != len(ops)/2 || !slices.IsSortedFunc(keys, bytes.Compare) {
		t.Errorf("%d keys, of %d, in the order %q", len(keys), len(ops)/2, keys)
	}
}

// TestTheStageIsBounded: with nobody to drain it, a writer is told to wait, and may
// go on when a run has gone.
func TestTheStageIsBounded(t *testing.T) {
	const runBytes = 64 << 10
	value := string(make([]byte, runBytes/2))
	var entries [][]store.Op
	for i := range maxSealed + 1 {
		entries = append(entries, []store.Op{put(store.Data, fmt.Sprint(i), value)})
	}
	g := stageWith(runBytes, entries...)
	r, wait, err := g.room(runBytes / 2)
	if r != nil || err != nil {
		t.Fatalf("there is room in a full stage: %v", err)
	}
	select {
	case <-wait:
		t.Fatal("the wait is over already")
	default:
	}
	oldest, _ := g.oldest()
	g.drop(oldest, time.Millisecond)
	<-wait
	if r, _, err := g.room(runBytes / 2); r == nil || err != nil {
		t.Errorf("no room after a drain: %v", err)
	}
}

func TestARunIsNotUsedAgainWhileAViewHoldsIt(t *testing.T) {
	const runBytes = 64 << 10
	value := string(make([]byte, runBytes/2))
	g := stageWith(runBytes, []store.Op{put(store.Data, "a", value)}, []store.Op{put(store.Data, "b", value)})
	g.mu.Lock()
	held := g.set
	held.refs++
	g.mu.Unlock()
	oldest, _ := g.oldest()
	g.drop(oldest, time.Millisecond)
	if len(g.spare) != 0 {
		t.Fatal("a run that is held was given away")
	}
	if rec, ok := held.find(store.Data, []byte("a"), 2); !ok || len(rec.value()) != runBytes/2 {
		t.Error("the view lost a key")
	}
	g.release(held)
	if len(g.spare) != 1 {
		t.Error("a run that nobody holds is not used again")
	}
}

// TestFailedFlushesDoNotPileUpRuns: on a full disk they are tried again and again.
func TestFailedFlushesDoNotPileUpRuns(t *testing.T) {
	var full atomic.Bool
	fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if full.Load() && op.Kind == errorfs.OpCreate && strings.HasSuffix(op.Path, ".sst") {
			return syscall.ENOSPC
		}
		return nil
	}))
	opened, err := openSmall(t, fs, "d")
	if err != nil {
		t.Fatal(err)
	}
	s := opened.(*Store)
	full.Store(true)
	for i := range 20 {
		m := mutations(uint64(i+1), put(store.Data, fmt.Sprint(i), "v"))
		if err := s.Apply(m); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Flush(); err == nil {
			t.Fatal("flushed onto a full disk")
		}
	}
	s.stage.mu.Lock()
	runs := len(s.stage.set.runs)
	s.stage.mu.Unlock()
	if runs > maxSealed+2 {
		t.Errorf("%d runs in the stage", runs)
	}
	full.Store(false)
	if index, err := s.Flush(); err != nil || index != 20 {
		// Pebble may still report the last failure; the next call is of the new disk.
		if index, err = s.Flush(); err != nil || index != 20 {
			t.Errorf("with room again: Flush() = %d, %v", index, err)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestPace(t *testing.T) {
	const capacity, batch = 1000, 10
	p := pacer{}
	if got := p.delay(batch, capacity, capacity); got != 0 {
		t.Errorf("before the first drain: %v", got)
	}
	p.drained(1000, time.Second)
	for _, tt := range []struct {
		backlog int
		want    time.Duration
	}{
		{0, 0},
		{350, 0},
		{625, 10 * time.Millisecond}, // as fast as drains go
		{900, 20 * time.Millisecond}, // half as fast
		{1000, 20 * time.Millisecond},
	} {
		if got := p.delay(batch, tt.backlog, capacity); got.Round(time.Millisecond) != tt.want {
			t.Errorf("%d of %d bytes: %v, want %v", tt.backlog, capacity, got, tt.want)
		}
	}
	if got := p.delay(1000, 900, capacity); got != maxPace {
		t.Errorf("a large batch: %v, want %v", got, maxPace)
	}
	p.drained(3000, time.Second)
	if got := p.bytesPerSecond; got <= 1000 || got >= 3000 {
		t.Errorf("the rate after a faster drain: %v", got)
	}
}
