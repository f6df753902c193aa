package wal

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

func newLife(t *testing.T, seed uint64, spares int) *life {
	cfg := testConfig(nil)
	cfg.SegmentBytes, cfg.Spares = 12<<10, spares
	f := &life{
		t: t, cfg: cfg, model: newModel(),
		rng: rand.New(rand.NewPCG(seed, 1)), hookRng: rand.New(rand.NewPCG(seed, 2)),
	}
	f.open(vfs.NewCrashableMem())
	t.Cleanup(func() {
		if err := f.log.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

func TestRandomLifeKeepsEveryAcknowledgedEntry(t *testing.T) {
	steps, every := 400, 8
	if testing.Short() {
		steps = 60
	}
	for seed := range uint64(6) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			f := newLife(t, seed, int(seed%3)-1)
			f.cfg.Recycled = 4 * int(seed/3) // from the first crash on
			f.arm(every)
			for range steps {
				f.step()
			}
			if f.crashes == 0 {
				t.Error("there was no crash")
			}
		})
	}
}

// TestCrashAtEveryStepOfARollIsRecovered crashes before each file operation of
// an Append that begins a segment, in the middle of a log and at its start.
func TestCrashAtEveryStepOfARollIsRecovered(t *testing.T) {
	for _, spares := range []int{-1, 1} {
		t.Run(fmt.Sprintf("spares=%d", spares), func(t *testing.T) {
			f := newLife(t, 77, spares)
			i := uint64(0)
			grow := func() {
				i++
				e := entry(1, i, 1500)
				copy(e.Body, fmt.Sprintf("entry %d ", i))
				f.append([]Entry{e}, []HardState{{Group: 2, Term: i}})
			}
			for len(f.log.index.segments) < 2 {
				grow()
			}
			for range 3 {
				for n := len(f.log.index.segments); len(f.log.index.segments) == n; {
					full := !f.log.hasRoom(1700)
					if full {
						if spares > 0 {
							awaitSpares(f.log, spares)
						}
						// A torn mark at the end of the old segment is part of it.
						if err := f.log.MarkIdle(); err != nil {
							t.Fatal(err)
						}
						f.arm(1)
					}
					grow()
					f.arm(0)
				}
				if f.crashFail != nil {
					t.Fatal(f.crashFail)
				}
			}
			if f.crashes < 15 {
				t.Errorf("only %d crashes", f.crashes)
			}
		})
	}
}

// TestCrashAtEveryStepOfACutIsRecovered does the same while segments are
// dropped.
func TestCrashAtEveryStepOfACutIsRecovered(t *testing.T) {
	f := newLife(t, 5, 1)
	awaitSpares(f.log, 1)
	for i := uint64(1); len(f.log.index.segments) < 6; i++ {
		e := entry(1, i, 1500)
		copy(e.Body, fmt.Sprintf("entry %d ", i))
		f.append([]Entry{e}, nil)
	}
	last := f.log.LastIndex(1)
	f.arm(1)
	f.cut(1, last/2)
	f.cut(1, last)
	f.arm(0)
	if f.crashFail != nil {
		t.Fatal(f.crashFail)
	}
	if n := len(f.log.index.segments); n != 1 || f.crashes < 8 {
		t.Errorf("%d segments are left after %d crashes", n, f.crashes)
	}
}

func (f *life) arm(every int) {
	f.model.mu.Lock()
	defer f.model.mu.Unlock()
	f.every = every
}

// TestCrashInTheMiddleOfOpenIsRecovered crashes while a torn tail is repaired
// and leftovers are removed.
func TestCrashInTheMiddleOfOpenIsRecovered(t *testing.T) {
	f := newLife(t, 9, 1)
	for range 120 {
		f.step()
	}
	for range 30 {
		// Begin in a state with a batch that is only half there.
		var torn *vfs.MemFS
		entries := f.batch()
		f.model.mu.Lock()
		for _, e := range entries {
			f.model.written[string(e.Body)] = true
			f.model.group(e.Group)
		}
		f.model.flying = entries
		f.model.mu.Unlock()
		mem := f.mem
		if err := f.log.Close(); err != nil {
			t.Fatal(err)
		}
		cfg := f.cfg
		cfg.FS = errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind == errorfs.OpFileSyncData && torn == nil {
				torn = mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: f.rng})
			}
			return nil
		}))
		cfg.Spares = -1
		l, _, err := tryOpen(cfg)
		if err != nil {
			t.Fatal(err)
		}
		torn = nil
		if err := l.Append(entries, nil); err != nil {
			t.Fatal(err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		f.arm(1)
		got := f.open(torn)
		f.arm(0)
		f.check(got)
		f.model.mu.Lock()
		f.model.settle(f.log, got)
		f.model.mu.Unlock()
		if f.crashFail != nil {
			t.Fatal(f.crashFail)
		}
	}
}

// unborn returns files as a crash leaves them between the rename of segment 2
// and the seal of segment 1, and where the last record of segment 1 begins.
func unborn(t *testing.T) (content map[string][]byte, offset int64) {
	t.Helper()
	cfg := testConfig(vfs.NewMem())
	l, _ := openLog(t, cfg)
	mustAppend(t, l, entry(1, 1, 50))
	offset = l.active.offset
	mustAppend(t, l, entry(1, 2, 50))
	next, err := l.begin(2, 100, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := next.file.Close(); err != nil {
		t.Fatal(err)
	}
	return snapshot(t, cfg.FS), offset
}

func TestSegmentThatNoSealNamesIsTakenAway(t *testing.T) {
	content, _ := unborn(t)
	fs := newMemWith(t, content)
	l, got := openLog(t, testConfig(fs))
	wantEntries(t, got, entry(1, 1, 50), entry(1, 2, 50))
	if n, _ := list(t, fs); n != 1 || l.active.seq != 1 {
		t.Errorf("%d segments are left and the log goes on in segment %d", n, l.active.seq)
	}
	mustAppend(t, l, entry(1, 3, 50))
}

func TestSegmentThatNoSealNamesStillProvesDamage(t *testing.T) {
	content, offset := unborn(t)
	_, _, err := tryOpen(testConfig(newMemWith(t, withFile(content, first, func(b []byte) []byte {
		b[offset+50] ^= 1 // of the last record, which no later one covers
		return b
	}))))
	wantCorrupt(t, err, first, offset)
}

// TestOpenMakesDurableWhatAKilledProcessLeft: the page cache outlives a process
// but not the power.
func TestOpenMakesDurableWhatAKilledProcessLeft(t *testing.T) {
	write := func(l *Log, kind recordKind, index uint64) {
		l.beginFrame().record(kind, 1, 1, index, nil, nil)
		if err := l.writeFrame(); err != nil { // killed before the sync
			t.Fatal(err)
		}
	}
	t.Run("entry", func(t *testing.T) {
		mem := vfs.NewCrashableMem()
		l, _ := openLog(t, testConfig(mem))
		write(l, kindEntry, 1)
		_, got := openLog(t, testConfig(mem))
		wantEntries(t, got, Entry{Group: 1, Term: 1, Index: 1})
		_, got = openLog(t, testConfig(mem.CrashClone(vfs.CrashCloneCfg{})))
		wantEntries(t, got, Entry{Group: 1, Term: 1, Index: 1})
	})
	t.Run("seal", func(t *testing.T) {
		mem := vfs.NewCrashableMem()
		l, _ := openLog(t, testConfig(mem))
		mustAppend(t, l, entry(1, 1, 10))
		next, err := l.begin(2, 100, 1)
		if err != nil {
			t.Fatal(err)
		}
		if err := next.file.Close(); err != nil {
			t.Fatal(err)
		}
		write(l, kindSeal, 2)
		l, _ = openLog(t, testConfig(mem))
		mustAppend(t, l, entry(1, 2, 10))
		_, got := openLog(t, testConfig(mem.CrashClone(vfs.CrashCloneCfg{})))
		wantEntries(t, got, entry(1, 1, 10), entry(1, 2, 10))
	})
}
