package wal

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

func TestRestartReplaysEveryEntryInOrder(t *testing.T) {
	for name, cfg := range map[string]Config{
		"memory":          testConfig(vfs.NewCrashableMem()),
		"disk":            {Dir: filepath.Join(t.TempDir(), "a", "b"), SegmentBytes: 64 << 10},
		"disk, no spares": {Dir: t.TempDir(), SegmentBytes: 64 << 10, Spares: -1},
	} {
		t.Run(name, func(t *testing.T) {
			l, got := openLog(t, cfg)
			if !l.Fresh() || len(got) != 0 {
				t.Fatalf("a missing directory gives fresh=%v and %d entries", l.Fresh(), len(got))
			}
			sizes := []int{0, 1, 7, 8, 9, 4095, 4096, 4097, 20_000, 300_000}
			var want []Entry
			for i, head := range sizes {
				for _, body := range sizes {
					e := entry(7, uint64(len(want)+1), body)
					e.Term = uint64(i + 1)
					e.Head = bytes.Repeat([]byte{byte(i)}, head)
					want = append(want, e)
				}
			}
			for i := 0; i < len(want); i += 3 {
				mustAppend(t, l, want[i:min(i+3, len(want))]...)
			}
			wantRange(t, l, 7, 1, uint64(len(want)))

			l, got = reopen(t, l, cfg)
			if l.Fresh() {
				t.Error("a log that was opened again is not fresh")
			}
			wantEntries(t, got, want...)
			wantRange(t, l, 7, 1, uint64(len(want)))
			next := entry(7, uint64(len(want)+1), 5)
			mustAppend(t, l, next)
			_, got = reopen(t, l, cfg)
			wantEntries(t, got, append(want, next)...)
		})
	}
}

func TestGroupsShareTheLogAndKeepTheirStates(t *testing.T) {
	cfg := testConfig(vfs.NewCrashableMem())
	l, _ := openLog(t, cfg)
	var want []Entry
	for i := uint64(1); i <= 50; i++ {
		batch := []Entry{entry(0, i, 30), entry(9, i+100, 200), entry(9, i+101, 10)}
		states := []HardState{{Group: 0, Term: 1, Vote: i, Commit: i}, {Group: 5, Term: i}}
		if err := l.Append(batch, states); err != nil {
			t.Fatal(err)
		}
		if i > 1 { // entry i+100 replaces the last one
			want = want[:len(want)-1]
		}
		want = append(want, batch...)
	}
	if len(l.index.segments) < 3 {
		t.Fatalf("%d segments are too few for this test", len(l.index.segments))
	}
	check := func(l *Log) {
		t.Helper()
		wantRange(t, l, 0, 1, 50)
		wantRange(t, l, 5, 0, 0)
		wantRange(t, l, 9, 101, 151)
		wantRange(t, l, 77, 0, 0)
		for _, want := range []HardState{{0, 1, 50, 50}, {5, 50, 0, 0}, {Group: 9}, {Group: 77}} {
			if got := l.HardState(want.Group); got != want {
				t.Errorf("hard state is %+v, want %+v", got, want)
			}
		}
	}
	check(l)
	l, got := reopen(t, l, cfg)
	check(l)
	wantEntries(t, got, want...)
}

func TestReplayShowsOnlyTheFinalLog(t *testing.T) {
	cfg := testConfig(vfs.NewCrashableMem())
	l, _ := openLog(t, cfg)
	for i := uint64(1); i <= 60; i++ {
		mustAppend(t, l, entry(1, i, 150))
	}
	for _, from := range []uint64{40, 45, 20} { // each replaces the tail
		for i := from; i < from+10; i++ {
			e := entry(1, i, 100)
			e.Term = 100 - from
			mustAppend(t, l, e)
		}
	}
	// Entries 30 to 60 of the first term are behind the end. A snapshot that
	// jumps over the end must not bring them back.
	wantRange(t, l, 1, 1, 29)
	l, got := reopen(t, l, cfg)
	var want []Entry
	for i := uint64(1); i < 30; i++ {
		e := entry(1, i, 150)
		if i >= 20 {
			e = entry(1, i, 100)
			e.Term = 80
		}
		want = append(want, e)
	}
	wantEntries(t, got, want...)

	if err := l.Cut(1, 50); err != nil {
		t.Fatal(err)
	}
	if err := l.Append(nil, []HardState{{Group: 1}}); err != nil {
		t.Fatal(err)
	}
	wantRange(t, l, 1, 0, 0)
	l, got = reopen(t, l, cfg)
	wantEntries(t, got)
	mustAppend(t, l, entry(1, 51, 3))
	l, got = reopen(t, l, cfg)
	wantEntries(t, got, entry(1, 51, 3))
	wantRange(t, l, 1, 51, 51)
}

func TestAppendRefusesGapsAndStaysUsable(t *testing.T) {
	cfg := testConfig(vfs.NewCrashableMem())
	l, _ := openLog(t, cfg)
	mustAppend(t, l, entry(1, 10, 3), entry(1, 11, 3))
	for name, batch := range map[string][]Entry{
		"gap":              {entry(1, 13, 1)},
		"gap in the batch": {entry(1, 12, 1), entry(2, 5, 1), entry(1, 14, 1)},
		"index zero":       {entry(3, 0, 1)},
		"too large":        {{Group: 1, Index: 12, Body: make([]byte, maxPayloadBytes), Head: []byte{1}}},
	} {
		if err := l.Append(batch, nil); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: got error %v, want ErrInvalid", name, err)
		}
	}
	mustAppend(t, l, entry(1, 12, 4))
	if err := l.Cut(1, 20); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, l, entry(1, 19, 1), entry(1, 20, 1), entry(1, 21, 5))
	l, got := reopen(t, l, cfg)
	wantEntries(t, got, entry(1, 21, 5))
	wantRange(t, l, 1, 21, 21)
	wantRange(t, l, 2, 0, 0)
}

func TestEntryLargerThanASegmentGetsItsOwn(t *testing.T) {
	cfg := testConfig(vfs.NewCrashableMem())
	l, _ := openLog(t, cfg)
	want := []Entry{entry(1, 1, 10), entry(1, 2, 100_000), entry(1, 3, 10)}
	for _, e := range want {
		mustAppend(t, l, e)
	}
	l, got := reopen(t, l, cfg)
	wantEntries(t, got, want...)
	if n := len(l.index.segments); n != 3 {
		t.Errorf("the log has %d segments, want 3", n)
	}
	if got := l.SizeBytes(); got < 100_000 || got > 102_000 {
		t.Errorf("the log says that it has %d bytes", got)
	}
}

func TestVisitErrorEndsOpen(t *testing.T) {
	cfg := testConfig(vfs.NewCrashableMem())
	l, _ := openLog(t, cfg)
	mustAppend(t, l, entry(1, 1, 10))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	sentinel := errors.New("sentinel")
	if _, err := Open(cfg, func(Entry) error { return sentinel }); !errors.Is(err, sentinel) {
		t.Errorf("got error %v", err)
	}
}

func TestMethodsAfterCloseReturnErrClosed(t *testing.T) {
	l, _ := openLog(t, testConfig(vfs.NewCrashableMem()))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := l.Append([]Entry{entry(1, 1, 1)}, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("append: %v", err)
	}
	if err := l.MarkIdle(); !errors.Is(err, ErrClosed) {
		t.Errorf("mark: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
}

func TestConfigIsChecked(t *testing.T) {
	for _, cfg := range []Config{
		{}, {Dir: "x", SegmentBytes: 100}, {Dir: "x", SegmentBytes: 2 << 30}, {Dir: "x", Spares: 65},
	} {
		if err := cfg.Validate(); err == nil {
			t.Errorf("%+v passes", cfg)
		}
	}
}

func TestAppendOfOneEntryAllocatesNothing(t *testing.T) {
	for _, size := range []int{100, 160_000} {
		t.Run(fmt.Sprintf("bytes=%d", size), func(t *testing.T) {
			cfg := testConfig(nil)
			cfg.Dir, cfg.SegmentBytes = t.TempDir(), 64<<20
			l, _ := openLog(t, cfg)
			entries := []Entry{{Group: 1, Term: 1, Head: []byte("head"), Body: make([]byte, size)}}
			states := []HardState{{Group: 1, Term: 1}}
			allocs := testing.AllocsPerRun(100, func() {
				entries[0].Index++
				states[0].Commit++
				if err := l.Append(entries, states); err != nil {
					t.Fatal(err)
				}
				if err := l.MarkIdle(); err != nil {
					t.Fatal(err)
				}
			})
			if allocs != 0 {
				t.Errorf("an append allocates %v times", allocs)
			}
		})
	}
}

// TestRoundOfManyAllocatesNothing: what several callers wait for goes in one
// Append.
func TestRoundOfManyAllocatesNothing(t *testing.T) {
	cfg := testConfig(nil)
	cfg.Dir, cfg.SegmentBytes = t.TempDir(), 64<<20
	l, _ := openLog(t, cfg)
	entries := make([]Entry, 64)
	for i := range entries {
		entries[i] = Entry{Group: 1, Term: 1, Head: []byte("head"), Body: make([]byte, 2*copyBelowBytes)}
	}
	last := uint64(0)
	allocs := testing.AllocsPerRun(50, func() {
		for i := range entries {
			last++
			entries[i].Index = last
		}
		if err := l.Append(entries, nil); err != nil {
			t.Fatal(err)
		}
		if err := l.Cut(1, last-1); err != nil {
			t.Fatal(err)
		}
	})
	if allocs != 0 {
		t.Errorf("an append of %d entries allocates %v times", len(entries), allocs)
	}
	if len(l.index.segments) != 1 {
		t.Fatal("the log rolled, which counts as well")
	}
}

func TestManyPayloadsNeedSeveralCalls(t *testing.T) {
	cfg := Config{Dir: t.TempDir(), Spares: -1}
	l, _ := openLog(t, cfg)
	var want []Entry
	for i := uint64(1); i <= 1500; i++ {
		want = append(want, entry(1, i, copyBelowBytes))
	}
	mustAppend(t, l, want...)
	_, got := reopen(t, l, cfg)
	wantEntries(t, got, want...)
}

func TestPartialWriteContinuesWhereItStopped(t *testing.T) {
	for n := range 8 {
		vecs := [][]byte{[]byte("ab"), []byte("c"), []byte("defg")}
		rest := bytes.Join(skipWritten(vecs, n), nil)
		if want := "abcdefg"[n:]; string(rest) != want {
			t.Errorf("after %d bytes %q is left, want %q", n, rest, want)
		}
	}
}

func TestForeignFilesInTheDirectoryAreLeftAlone(t *testing.T) {
	dir := t.TempDir()
	cfg := Config{Dir: dir, SegmentBytes: 4 << 10}
	for _, name := range []string{"LOCK", "1.wal", "000000000000000G.wal", "spare-x", "spare-01"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	l, _ := openLog(t, cfg)
	mustAppend(t, l, entry(1, 1, 1))
	_, got := reopen(t, l, cfg)
	wantEntries(t, got, entry(1, 1, 1))
	if names, _ := os.ReadDir(dir); len(names) < 6 {
		t.Errorf("files are missing: %v", names)
	}
}
