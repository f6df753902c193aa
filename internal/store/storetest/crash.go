package storetest

import (
	"errors"
	"math"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/sheafdb/sheaf/internal/store"
)

func testFlushThenReopen(t *testing.T, open Open) {
	fs := vfs.NewMem()
	w := &workload{seed: 4, keys: 300}
	index := uint64(0)
	for range 4 {
		s := mustOpen(t, open, fs)
		if s.Durable() != index {
			t.Errorf("Durable() = %d after opening, want %d", s.Durable(), index)
		}
		checkState(t, s, w.stateAt(index))
		for range 60 {
			index++
			mustApply(t, s, w.entry(index))
		}
		checkState(t, s, w.stateAt(index))
		mustFlush(t, s, index)
		mustFlush(t, s, index) // with nothing to do
		mustClose(t, s)
	}
}

// testCloseDoesNotFlush says what the contract says, so that nobody leans on the
// opposite: what was not flushed may be gone, but never in part.
func testCloseDoesNotFlush(t *testing.T, open Open) {
	fs := vfs.NewMem()
	w := &workload{seed: 5, keys: 50}
	s := mustOpen(t, open, fs)
	mustApply(t, s, w.entry(1))
	mustFlush(t, s, 1)
	mustApply(t, s, w.entry(2))
	durable := s.Durable()
	mustClose(t, s)
	s = mustOpen(t, open, fs)
	defer mustClose(t, s)
	if s.Durable() < durable {
		t.Errorf("Durable() = %d, was %d", s.Durable(), durable)
	}
	checkState(t, s, w.stateAt(s.Durable()))
}

// testCrash cuts the power at random moments of a load with flushes, keeping any
// part of what was not synced. The store that comes up must hold the state after
// one log entry, at or after the last Durable, and go on from there.
func testCrash(t *testing.T, open Open) {
	const crashes = 25
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	w := &workload{seed: seed, keys: 400}
	fs := vfs.NewCrashableMem()
	s := mustOpen(t, open, fs)
	for index, crash := uint64(0), 0; crash < crashes; crash++ {
		// One goroutine applies and one flushes until the clone is made.
		stop, flushed := make(chan struct{}), make(chan error, 1)
		flush := rng.IntN(3) > 0
		writer := startWriter(s, index+1, math.MaxUint64, w.entry)
		go func() { flushed <- flushUntil(s, flush, stop) }()
		for until := index + 1 + uint64(rng.IntN(150)); writer.applied.Load() < until && len(writer.done) == 0; {
			runtime.Gosched()
		}
		durable := s.Durable()
		clone := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng})
		last := writer.applied.Load() + 1 // one may have been under way
		close(stop)
		if err := errors.Join(writer.stop(), <-flushed); err != nil {
			t.Fatal(err)
		}
		mustClose(t, s)

		fs = clone
		s = mustOpen(t, open, fs)
		v := s.View()
		index = v.Meta().Index
		closeView(t, v)
		if index < durable || index > last || s.Durable() != index {
			t.Fatalf("crash %d: at entry %d, Durable() = %d; entry %d was durable and %d the last applied",
				crash, index, s.Durable(), durable, last)
		}
		checkState(t, s, w.stateAt(index))
	}
	mustClose(t, s)
}

func flushUntil(s store.Store, flush bool, stop <-chan struct{}) error {
	for flush {
		select {
		case <-stop:
			return nil
		default:
		}
		if _, err := s.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// testFailedFlush makes new files fail for a while. Flush says so, nothing that
// was durable is lost, and the next Flush does the work.
func testFailedFlush(t *testing.T, open Open) {
	mem := vfs.NewCrashableMem()
	var broken atomic.Bool
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if broken.Load() && op.Kind == errorfs.OpCreate {
			return errorfs.ErrInjected
		}
		return nil
	}))
	w := &workload{seed: 6, keys: 50}
	s := mustOpen(t, open, fs)
	mustApply(t, s, w.entry(1))
	mustFlush(t, s, 1)
	mustApply(t, s, w.entry(2))
	broken.Store(true)
	if index, err := s.Flush(); err == nil || index != 1 || s.Durable() != 1 {
		t.Errorf("Flush() = %d, %v on a broken disk, Durable() = %d", index, err, s.Durable())
	}
	checkState(t, s, w.stateAt(2))
	reopened := mustOpen(t, open, mem.CrashClone(vfs.CrashCloneCfg{}))
	checkState(t, reopened, w.stateAt(1))
	mustClose(t, reopened)

	broken.Store(false)
	mustApply(t, s, w.entry(3))
	mustFlush(t, s, 3)
	mustClose(t, s)
	s = mustOpen(t, open, mem.CrashClone(vfs.CrashCloneCfg{}))
	defer mustClose(t, s)
	checkState(t, s, w.stateAt(3))
}
