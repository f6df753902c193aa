// Package storetest is the contract of store.Store as tests. Every
// implementation calls Run, and Benchmark for its numbers.
//
// The suite knows nothing of an implementation but that it lives in a directory
// of a vfs.FS: it crashes that file system and damages its files. What a store
// must hold after a log entry comes from workload.go, which can say so for every
// index without keeping history.
package storetest

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"

	"github.com/sheafdb/sheaf/internal/store"
)

// Open opens the store in dir of fs, or makes an empty one. Memtables and the
// like should be small, so that a few thousand keys reach the disk by themselves.
type Open func(tb testing.TB, fs vfs.FS, dir string) (store.Store, error)

const dir = "store"

// Run runs the suite.
func Run(t *testing.T, open Open) {
	t.Helper()
	tests := []struct {
		name string
		test func(*testing.T, Open)
	}{
		{"EmptyStoreIsEmpty", testEmpty},
		{"SetOverwriteDelete", testSetOverwriteDelete},
		{"SpacesDoNotCollide", testSpaces},
		{"AnyBytesAreKeys", testAnyBytes},
		{"ApplyKeepsNoSlice", testApplyKeepsNoSlice},
		{"ApplyRefusesOldIndex", testApplyRefuses},
		{"ValuesStayUntilClose", testValuesStay},
		{"DueKeysInOrder", testDueKeys},
		{"ScanOrderPrefixStart", testScan},
		{"ScanIsNeverStale", testScanNeverStale},
		{"ViewsAreAtomic", testViewsAreAtomic},
		{"FlushThenReopen", testFlushThenReopen},
		{"CloseDoesNotFlush", testCloseDoesNotFlush},
		{"FlushWhileApplying", testFlushWhileApplying},
		{"CrashLeavesOneWholeState", testCrash},
		{"CopyIsAStoreOfItsOwn", testCopy},
		{"ImageIsOneState", testImage},
		{"ImageThatTookNothing", testImageUnused},
		{"FailedFlushIsReported", testFailedFlush},
		{"DamageIsNeverWrongData", testDamage},
		{"BehavesLikeAMap", testModel},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			leaks := goleak.IgnoreCurrent()
			tt.test(t, open)
			goleak.VerifyNone(t, leaks)
		})
	}
}

// tester is what the checks need of testing.TB and of rapid.T, which is not one.
type tester interface {
	Helper()
	Fatalf(format string, args ...any)
}

// mustOpen opens a store that has no reason not to open.
func mustOpen(tb testing.TB, open Open, fs vfs.FS) store.Store {
	tb.Helper()
	s, err := open(tb, fs, dir)
	if err != nil {
		tb.Fatalf("open: %v", err)
	}
	return s
}

func mustClose(tb tester, s store.Store) {
	tb.Helper()
	if err := s.Close(); err != nil {
		tb.Fatalf("close: %v", err)
	}
}

func mustApply(tb tester, s store.Store, m *store.Mutations) {
	tb.Helper()
	if err := s.Apply(m); err != nil {
		tb.Fatalf("apply: %v", err)
	}
}

func mustFlush(tb tester, s store.Store, want uint64) {
	tb.Helper()
	index, err := s.Flush()
	if err != nil {
		tb.Fatalf("flush: %v", err)
	}
	if index != want || s.Durable() != want {
		tb.Fatalf("Flush() = %d, Durable() = %d, want %d", index, s.Durable(), want)
	}
}

// entry makes the log entry of index; each op is one of set and del.
func entry(index uint64, ops ...store.Op) *store.Mutations {
	return &store.Mutations{Meta: metaAt(index), Ops: ops}
}

func set(space store.Space, key, value string) store.Op {
	half := len(value) / 2
	return store.Op{Space: space, Key: []byte(key), Head: []byte(value[:half]), Value: []byte(value[half:])}
}

func del(space store.Space, key string) store.Op {
	return store.Op{Space: space, Key: []byte(key), Delete: true}
}

// metaAt fills every field with a number of its own.
func metaAt(index uint64) store.Meta {
	return store.Meta{
		Index: index, Term: index/10 + 1, NowMS: index * 3, Clock: index * 5,
		Floor: index / 2, Rows: index % 7, Held: index % 5, IDFloorMS: index + 11,
	}
}

// missing stands for a key that is not there.
const missing = "(missing)"

func get(tb testing.TB, v store.View, space store.Space, key string) string {
	tb.Helper()
	value, ok, err := v.Get(space, []byte(key))
	if err != nil {
		tb.Fatalf("get %q of space %d: %v", key, space, err)
	}
	if !ok {
		return missing
	}
	return string(value)
}

func closeView(tb testing.TB, v store.View) {
	tb.Helper()
	if err := v.Close(); err != nil {
		tb.Fatalf("close view: %v", err)
	}
}
