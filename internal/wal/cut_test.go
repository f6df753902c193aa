package wal

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

func list(t testing.TB, fs vfs.FS) (segments, spares int) {
	t.Helper()
	names, err := fs.List(testDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, segmentSuffix) {
			segments++
		} else {
			spares++
		}
	}
	return segments, spares
}

func TestCutDropsSegmentsNoGroupNeeds(t *testing.T) {
	cfg := testConfig(vfs.NewCrashableMem())
	l, _ := openLog(t, cfg)
	i := uint64(0)
	for len(l.index.segments) < 6 {
		i++
		mustAppend(t, l, entry(1, i, 200), entry(2, i, 200))
	}
	size := l.SizeBytes()
	if err := l.Cut(1, i); err != nil {
		t.Fatal(err)
	}
	if n, _ := list(t, cfg.FS); n != 6 || l.SizeBytes() != size {
		t.Fatalf("%d segments are left though group 2 needs all", n)
	}
	if err := l.Cut(2, i/2); err != nil {
		t.Fatal(err)
	}
	n, _ := list(t, cfg.FS)
	if n >= 6 || n < 3 || l.SizeBytes() >= size {
		t.Fatalf("%d segments with %d bytes are left", n, l.SizeBytes())
	}
	wantRange(t, l, 1, 0, 0)
	wantRange(t, l, 2, i/2+1, i)
	if err := l.Cut(2, 1); err != nil { // lower than before
		t.Fatal(err)
	}
	l, got := reopen(t, l, cfg)
	wantRange(t, l, 1, 0, 0)
	wantRange(t, l, 2, i/2+1, i)
	if got[0].Group != 2 || got[0].Index != i/2+1 || len(got) != int(i-i/2) {
		t.Fatalf("replay begins with entry %d of group %d and has %d", got[0].Index, got[0].Group, len(got))
	}
}

func TestReplacedEntriesHoldNoSegment(t *testing.T) {
	l, _ := openLog(t, testConfig(vfs.NewMem()))
	i := uint64(0)
	for len(l.index.segments) < 3 {
		i++
		mustAppend(t, l, entry(1, i, 200))
	}
	mustAppend(t, l, entry(1, 5, 10))
	if err := l.Cut(1, 4); err != nil {
		t.Fatal(err)
	}
	if n := len(l.index.segments); n != 1 {
		t.Errorf("%d segments are left, of which only the last has an entry that is live", n)
	}
	wantRange(t, l, 1, 5, 5)
}

// TestStatesAndCutsOutliveTheirSegments: they are carried from preamble to
// preamble.
func TestStatesAndCutsOutliveTheirSegments(t *testing.T) {
	cfg := testConfig(vfs.NewCrashableMem())
	l, _ := openLog(t, cfg)
	if err := l.Append([]Entry{entry(3, 7, 9)}, []HardState{{3, 4, 5, 6}}); err != nil {
		t.Fatal(err)
	}
	if err := l.Cut(3, 7); err != nil {
		t.Fatal(err)
	}
	for i := uint64(1); l.index.segments[0].seq < 5; i++ {
		mustAppend(t, l, entry(1, i, 500))
		if err := l.Cut(1, i-1); err != nil {
			t.Fatal(err)
		}
	}
	last := l.LastIndex(1)
	l, got := reopen(t, l, cfg)
	wantEntries(t, got, entry(1, last, 500))
	wantRange(t, l, 3, 0, 0)
	if got, want := l.HardState(3), (HardState{3, 4, 5, 6}); got != want {
		t.Errorf("hard state is %+v, want %+v", got, want)
	}
	mustAppend(t, l, entry(3, 8, 1)) // 9 would be a gap
	wantRange(t, l, 3, 8, 8)
}

func TestRecycledSegmentNeverShowsOldRecords(t *testing.T) {
	cfg := testConfig(vfs.NewCrashableMem())
	cfg.Spares = 2
	l, _ := openLog(t, cfg)
	awaitSpares(l, 2)
	recycled := 0
	var want []Entry
	for i := uint64(1); i <= 300; i++ {
		// All records have the same size, so that old ones lie exactly where
		// new ones would continue.
		e := entry(1, i, 256)
		mustAppend(t, l, e)
		want = append(want, e)
		if i%20 == 0 {
			if err := l.Cut(1, i-2); err != nil {
				t.Fatal(err)
			}
			want = want[len(want)-2:]
		}
		if i%7 == 0 {
			data := readFile(t, cfg.FS, segmentName(l.active.seq))
			if bytes.Contains(data[l.active.offset:], []byte("1/")) {
				recycled++
			}
			logger, out := logged()
			copied := testConfig(newMemWith(t, snapshot(t, cfg.FS)))
			copied.Logger = logger
			_, got := openLog(t, copied)
			wantEntries(t, got, want...)
			if out.Len() > 0 {
				t.Fatalf("a clean end was taken for a tear: %s", out)
			}
			l, got = reopen(t, l, cfg)
			wantEntries(t, got, want...)
		}
	}
	if recycled < 5 {
		t.Errorf("only %d looks at a segment with old records behind its end", recycled)
	}
}

// TestOldRecordsAtTheEndOfARecycledSegmentAreNoProof removes the terminator, as
// a crash may, so that the end of the log is followed by old bytes.
func TestOldRecordsAtTheEndOfARecycledSegmentAreNoProof(t *testing.T) {
	cfg := testConfig(vfs.NewCrashableMem())
	cfg.Spares = 1
	l, _ := openLog(t, cfg)
	var old []byte
	i := uint64(0)
	grow := func() {
		i++
		mustAppend(t, l, entry(1, i, 256))
	}
	for len(l.index.segments) < 3 {
		awaitSpares(l, 1)
		old = readFile(t, cfg.FS, segmentName(l.active.seq))
		grow()
	}
	content := snapshot(t, cfg.FS)
	name := segmentName(l.active.seq)
	from := l.active.offset
	if int(cfg.SegmentBytes) != len(content[name]) || len(old) != len(content[name]) {
		t.Fatalf("segments have %d and %d bytes", len(content[name]), len(old))
	}
	for shift := range 64 {
		mixed := withFile(content, name, func(b []byte) []byte {
			copy(b[from:], old[int(from)-shift*recordAlignBytes/2&^7:])
			return b
		})
		_, got := openLog(t, testConfig(newMemWith(t, mixed)))
		if len(got) != int(i) {
			t.Fatalf("%d entries were replayed, want %d", len(got), i)
		}
	}
}

func TestSparesAreBoundedAndUsed(t *testing.T) {
	cfg := testConfig(vfs.NewMem())
	cfg.Spares = 2
	l, _ := openLog(t, cfg)
	awaitSpares(l, 2)
	for i := uint64(1); i < 200; i++ {
		mustAppend(t, l, entry(1, i, 300))
	}
	if err := l.Cut(1, 199); err != nil {
		t.Fatal(err)
	}
	awaitSpares(l, 2)
	l.spares.mu.Lock()
	if n := len(l.spares.ready); n != 2 {
		t.Errorf("%d spares are kept, want 2", n)
	}
	l.spares.mu.Unlock()
	l, _ = reopen(t, l, cfg)
	segments, spares := list(t, cfg.FS)
	if segments != 1 || spares != 2 {
		t.Errorf("%d segments and %d spares are left, want 1 and 2", segments, spares)
	}
	l.spares.mu.Lock()
	ready := slices.Clone(l.spares.ready)
	l.spares.mu.Unlock()
	for i := uint64(200); len(l.index.segments) < 2; i++ {
		mustAppend(t, l, entry(1, i, 300))
	}
	if got := int64(l.active.header.writtenBytes); got != cfg.SegmentBytes {
		t.Errorf("with spares %v ready the next segment has %d bytes written", ready, got)
	}
}

func TestCutsMayRunBesideAppends(t *testing.T) {
	cfg := testConfig(vfs.NewMem())
	cfg.Spares = 1
	l, _ := openLog(t, cfg)
	const n = 400
	done := make(chan uint64, n)
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range done {
			if err := l.Cut(i%4, i/4-min(i/4, 3)); err != nil {
				t.Error(err)
			}
			_, _, _ = l.SizeBytes(), l.FirstIndex(i%4), l.HardState(i%4)
		}
	})
	for i := uint64(0); i < n; i++ {
		batch := []Entry{entry(i%4, i/4+1, 300)}
		if err := l.Append(batch, []HardState{{Group: i % 4, Term: i}}); err != nil {
			t.Fatal(err)
		}
		if err := l.MarkIdle(); err != nil {
			t.Fatal(err)
		}
		done <- i
	}
	close(done)
	wg.Wait()
	// A full segment has no room for the last cuts. An append saves them.
	mustAppend(t, l, entry(0, n/4+1, 1))
	var want []string
	for g := range uint64(4) {
		want = append(want, fmt.Sprint(l.FirstIndex(g), l.LastIndex(g), l.HardState(g)))
	}
	l, _ = reopen(t, l, cfg)
	for g := range uint64(4) {
		if got := fmt.Sprint(l.FirstIndex(g), l.LastIndex(g), l.HardState(g)); got != want[g] {
			t.Errorf("group %d is %s after a restart, want %s", g, got, want[g])
		}
	}
}
