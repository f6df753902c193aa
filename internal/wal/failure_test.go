package wal

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

var errDisk = errors.New("the disk says no")

// failing returns a file system over mem that fails what fail tells it to.
func failing(mem vfs.FS, fail func(errorfs.Op) error) (vfs.FS, *errorfs.Toggle) {
	toggle := &errorfs.Toggle{Injector: errorfs.InjectorFunc(fail)}
	return errorfs.Wrap(mem, toggle), toggle
}

func TestFailedWriteOrSyncIsFinal(t *testing.T) {
	for _, kind := range []errorfs.OpKind{errorfs.OpFileWriteAt, errorfs.OpFileSyncData} {
		t.Run(fmt.Sprintf("kind=%d", kind), func(t *testing.T) {
			mem := vfs.NewCrashableMem()
			var calls atomic.Int64
			fs, toggle := failing(mem, func(op errorfs.Op) error {
				if op.Kind == kind {
					calls.Add(1)
					return errDisk
				}
				return nil
			})
			l, _ := openLog(t, testConfig(fs))
			mustAppend(t, l, entry(1, 1, 10))
			toggle.On()
			err := l.Append([]Entry{entry(1, 2, 10)}, nil)
			if !errors.Is(err, ErrFailed) || !errors.Is(err, errDisk) {
				t.Fatalf("got error %v, want ErrFailed with its cause", err)
			}
			toggle.Off() // that it would work again does not matter
			for range 2 {
				if err := l.Append([]Entry{entry(1, 2, 10)}, nil); !errors.Is(err, ErrFailed) || !errors.Is(err, errDisk) {
					t.Fatalf("a later append gives %v", err)
				}
			}
			if err := l.MarkIdle(); !errors.Is(err, ErrFailed) {
				t.Errorf("a later mark gives %v", err)
			}
			if n := calls.Load(); n != 1 {
				t.Errorf("the disk was asked %d times", n)
			}
			wantRange(t, l, 1, 1, 1)
			_, got := openLog(t, testConfig(mem.CrashClone(vfs.CrashCloneCfg{})))
			wantEntries(t, got, entry(1, 1, 10))
		})
	}
}

// TestAnyFailureWhileRollingIsNoSpaceOrFinal fails each file operation of an
// Append that begins a segment, in turn. Whatever it says, the acknowledged
// entries are there after a restart.
func TestAnyFailureWhileRollingIsNoSpaceOrFinal(t *testing.T) {
	for _, cause := range []error{errDisk, syscall.ENOSPC} {
		for nth := int64(1); ; nth++ {
			mem := vfs.NewCrashableMem()
			var calls atomic.Int64
			fs, toggle := failing(mem, func(op errorfs.Op) error {
				if op.Kind.ReadOrWrite() == errorfs.OpIsWrite || op.Kind == errorfs.OpOpen {
					if calls.Add(1) == nth {
						return cause
					}
				}
				return nil
			})
			l, _ := openLog(t, testConfig(fs))
			var want []Entry
			for l.hasRoom(1000) {
				want = append(want, entry(1, uint64(len(want)+1), 200))
				mustAppend(t, l, want[len(want)-1])
			}
			next := entry(1, uint64(len(want)+1), 1000)
			toggle.On()
			err := l.Append([]Entry{next}, nil)
			toggle.Off()
			switch {
			case err == nil:
				want = append(want, next)
			case errors.Is(err, ErrNoSpace) && errors.Is(cause, syscall.ENOSPC):
				mustAppend(t, l, next)
				want = append(want, next)
			case !errors.Is(err, ErrFailed) || !errors.Is(err, cause):
				t.Fatalf("operation %d gives %v", nth, err)
			}
			_, got := openLog(t, testConfig(mem.CrashClone(vfs.CrashCloneCfg{})))
			wantEntries(t, got, want...)
			if calls.Load() < nth {
				if nth < 8 {
					t.Errorf("rolling took only %d operations", nth-1)
				}
				break
			}
		}
	}
}

func TestNoSpaceWritesNothingAndEndsWhenSpaceReturns(t *testing.T) {
	mem := vfs.NewCrashableMem()
	fs, toggle := failing(mem, func(op errorfs.Op) error {
		if op.Kind == errorfs.OpFilePreallocate {
			return syscall.ENOSPC
		}
		return nil
	})
	l, _ := openLog(t, testConfig(fs))
	toggle.On()
	i := uint64(1)
	var err error
	for ; err == nil; i++ {
		err = l.Append([]Entry{entry(1, i, 300)}, nil)
	}
	i--
	if !errors.Is(err, ErrNoSpace) || !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("a full disk gives %v", err)
	}
	offset, files := l.active.offset, fmt.Sprint(mem)
	for range 3 {
		if err := l.Append([]Entry{entry(1, i, 300)}, []HardState{{Group: 8}}); !errors.Is(err, ErrNoSpace) {
			t.Fatalf("a full disk gives %v", err)
		}
	}
	if l.active.offset != offset || fmt.Sprint(mem) != files {
		t.Error("something was written")
	}
	wantRange(t, l, 1, 1, i-1)
	if err := l.MarkIdle(); err != nil {
		t.Errorf("a mark on a full disk: %v", err)
	}
	toggle.Off()
	mustAppend(t, l, entry(1, i, 300))
	l, got := reopen(t, l, testConfig(mem))
	if len(got) != int(i) {
		t.Errorf("%d entries are there, want %d", len(got), i)
	}
	wantRange(t, l, 1, 1, i)
}

// TestCutFreesAFullDisk: where no further file can be made, a segment that is
// cut serves as the next one.
func TestCutFreesAFullDisk(t *testing.T) {
	mem := vfs.NewCrashableMem()
	fs, toggle := failing(mem, func(op errorfs.Op) error {
		spare := op.Kind == errorfs.OpFileSync && strings.Contains(op.Path, sparePrefix)
		if spare || op.Kind == errorfs.OpFilePreallocate {
			return syscall.ENOSPC
		}
		return nil
	})
	cfg := testConfig(fs)
	cfg.Spares = 1
	l, _ := openLog(t, cfg)
	i := uint64(0)
	for len(l.index.segments) < 4 {
		awaitSpares(l, 1)
		i++
		mustAppend(t, l, entry(1, i, 300))
	}
	awaitSpares(l, 1)
	toggle.On()
	var err error
	for err == nil {
		i++
		err = l.Append([]Entry{entry(1, i, 300)}, nil)
	}
	if !errors.Is(err, ErrNoSpace) {
		t.Fatalf("a full disk gives %v", err)
	}
	if err := l.Cut(1, i-1); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, l, entry(1, i, 300))
}

func TestFailureInTheBackgroundIsNoFailureOfTheLog(t *testing.T) {
	fs, toggle := failing(vfs.NewMem(), func(op errorfs.Op) error {
		if op.Kind == errorfs.OpFileSync && strings.Contains(op.Path, sparePrefix) {
			return errDisk
		}
		return nil
	})
	toggle.On()
	cfg := testConfig(fs)
	cfg.Spares = 1
	l, _ := openLog(t, cfg)
	for i := uint64(1); len(l.index.segments) < 4; i++ {
		mustAppend(t, l, entry(1, i, 300))
	}
	toggle.Off()
	l.spares.ask()
	awaitSpares(l, 1)
}
