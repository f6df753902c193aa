package storetest

import (
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/sheafdb/sheaf/internal/store"
)

// testViewsAreAtomic stamps keys of all spaces with the index of the log entry,
// while readers check that a view shows one index everywhere.
func testViewsAreAtomic(t *testing.T, open Open) {
	s := mustOpen(t, open, vfs.NewMem())
	defer mustClose(t, s)
	const keys, entries, readers = 40, 400, 3
	stamp := func(index uint64) *store.Mutations {
		value := strconv.FormatUint(index, 10)
		m := entry(index, set(store.Due, value, ""))
		for k := range keys {
			m.Ops = append(m.Ops, set(store.Data, fmt.Sprint(k), value), set(store.Rows, fmt.Sprint(k), value))
		}
		if index > 1 {
			m.Ops = append(m.Ops, del(store.Due, strconv.FormatUint(index-1, 10)))
		}
		return m
	}
	mustApply(t, s, stamp(1))
	done := make(chan struct{})
	var wg sync.WaitGroup
	stop := sync.OnceFunc(func() {
		close(done)
		wg.Wait()
	})
	defer stop()
	for range readers {
		wg.Go(func() {
			for last := uint64(0); ; {
				select {
				case <-done:
					return
				default:
				}
				index, err := readStamp(s, keys)
				if err != nil {
					t.Error(err)
					return
				}
				if index < last {
					t.Errorf("entry %d after entry %d", index, last)
				}
				last = index
			}
		})
	}
	for i := uint64(2); i <= entries; i++ {
		mustApply(t, s, stamp(i))
		if i%100 == 0 {
			if _, err := s.Flush(); err != nil {
				t.Error(err)
			}
		}
	}
	stop()
}

func readStamp(s store.Store, keys int) (index uint64, err error) {
	v := s.View()
	defer func() {
		if closeErr := v.Close(); err == nil {
			err = closeErr
		}
	}()
	// The key first: a Meta read at once would hide that it is read late.
	value, _, err := v.Get(store.Data, []byte("0"))
	if err != nil {
		return 0, err
	}
	want := string(value)
	for k := range keys {
		for _, space := range []store.Space{store.Rows, store.Data} {
			value, _, err := v.Get(space, []byte(fmt.Sprint(k)))
			if err != nil {
				return 0, err
			}
			if string(value) != want {
				return 0, fmt.Errorf("space %d key %d is of entry %q, others of %q", space, k, value, want)
			}
		}
	}
	var due []string
	err = v.DueKeys(nil, func(key []byte) bool {
		due = append(due, string(key))
		return true
	})
	if err == nil && (len(due) != 1 || due[0] != want) {
		err = fmt.Errorf("due keys %q, want %q", due, want)
	}
	index = v.Meta().Index
	if err == nil && strconv.FormatUint(index, 10) != want {
		err = fmt.Errorf("Meta is of entry %d, the keys of %s", index, want)
	}
	return index, err
}

// testFlushWhileApplying flushes again and again under load. What a flush left
// is looked at in a clone of the file system that has only what was synced.
func testFlushWhileApplying(t *testing.T, open Open) {
	fs := vfs.NewCrashableMem()
	s := mustOpen(t, open, fs)
	defer mustClose(t, s)
	w := &workload{seed: 3, keys: 2000}
	const entries = 1000
	writer := startWriter(s, 1, entries, w.entry)
	defer writer.stop()
	for len(writer.done) == 0 {
		v := s.View()
		before := v.Meta().Index
		closeView(t, v)
		index, err := s.Flush()
		if err != nil {
			t.Fatal(err)
		}
		if index < before || s.Durable() < index {
			t.Errorf("flush of entry %d or later: %d, then Durable() = %d", before, index, s.Durable())
		}
		clone := fs.CrashClone(vfs.CrashCloneCfg{})
		reopened := mustOpen(t, open, clone)
		v = reopened.View()
		at := v.Meta().Index
		closeView(t, v)
		if at < index {
			t.Errorf("entry %d was durable, the store is at %d", index, at)
		}
		checkState(t, reopened, w.stateAt(at))
		mustClose(t, reopened)
	}
	if err := writer.stop(); err != nil {
		t.Fatal(err)
	}
}

// writer applies log entries from a goroutine of its own.
type writer struct {
	applied  atomic.Uint64 // the index of the last entry applied
	stopping chan struct{}
	done     chan error // has one value when the goroutine has ended
	stop     func() error
}

// startWriter applies the entries of the indexes from first to last. The store
// must not be closed before stop, which may be called more than once.
func startWriter(s store.Store, first, last uint64, entry func(uint64) *store.Mutations) *writer {
	w := &writer{stopping: make(chan struct{}), done: make(chan error, 1)}
	w.applied.Store(first - 1)
	w.stop = sync.OnceValue(func() error {
		close(w.stopping)
		return <-w.done
	})
	go func() { w.done <- w.run(s, first, last, entry) }()
	return w
}

func (w *writer) run(s store.Store, first, last uint64, entry func(uint64) *store.Mutations) error {
	for i := first; i <= last; i++ {
		select {
		case <-w.stopping:
			return nil
		default:
		}
		if err := s.Apply(entry(i)); err != nil {
			return err
		}
		w.applied.Store(i)
	}
	return nil
}
