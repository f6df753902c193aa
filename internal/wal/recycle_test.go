package wal

import (
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// appendSegments appends until the log has n segments, and returns the last index.
func appendSegments(t *testing.T, l *Log, index uint64, n int) uint64 {
	t.Helper()
	for len(l.index.segments) < n {
		index++
		mustAppend(t, l, entry(1, index, 300))
	}
	return index
}

// TestSegmentsMadeWithoutSparesAreRecycled: a log that was faster than its spares
// has as many files as it needs once they have come back.
func TestSegmentsMadeWithoutSparesAreRecycled(t *testing.T) {
	cfg := testConfig(vfs.NewMem())
	cfg.Recycled = 5 // and no spares: what is not recycled is a new file
	l, _ := openLog(t, cfg)
	last := uint64(0)
	for cycle := range 4 {
		last = appendSegments(t, l, last, 5)
		if err := l.Cut(1, last-1); err != nil {
			t.Fatal(err)
		}
		awaitSpares(l, 4)
		if segments, spares := list(t, cfg.FS); segments != 1 || spares != 4 {
			t.Errorf("cycle %d: %d segments and %d spares, want 1 and 4", cycle, segments, spares)
		}
	}
}

// blocking is a file system whose spares, from when the toggle is on, are not
// written through before release is called. begun receives when the first has
// come to that point.
func blocking(fs vfs.FS) (blocked vfs.FS, toggle *errorfs.Toggle, begun <-chan struct{}, release func()) {
	began, may := make(chan struct{}, 1), make(chan struct{})
	toggle = &errorfs.Toggle{Injector: errorfs.InjectorFunc(func(op errorfs.Op) error {
		// Only who writes a spare through asks an open one for its size.
		if op.Kind == errorfs.OpFileStat && strings.Contains(op.Path, sparePrefix) {
			select {
			case began <- struct{}{}:
			default:
			}
			<-may
		}
		return nil
	})}
	return errorfs.Wrap(fs, toggle), toggle, began, sync.OnceFunc(func() { close(may) })
}

// TestAShortSpareServesAsItIs: segments may have been smaller once, and are kept.
func TestAShortSpareServesAsItIs(t *testing.T) {
	mem := vfs.NewMem()
	cfg := testConfig(mem)
	l, _ := openLog(t, cfg)
	last := appendSegments(t, l, 0, 4)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	fs, toggle, begun, release := blocking(mem)
	defer release()
	toggle.On()
	cfg = testConfig(fs)
	cfg.SegmentBytes, cfg.Recycled = 2*cfg.SegmentBytes, 5
	l, _ = openLog(t, cfg)
	if err := l.Cut(1, last-1); err != nil {
		t.Fatal(err)
	}
	<-begun // one is being written through, two wait for it
	from := last
	last = appendSegments(t, l, last, 2)
	if _, spares := list(t, mem); spares != 2 {
		t.Errorf("%d spares are left of three, want 2", spares)
	}
	// Behind the end of the log there are old records now.
	_, got := openLog(t, testConfig(newMemWith(t, snapshot(t, mem))))
	if len(got) != int(last-from+1) || got[0].Index != from || got[len(got)-1].Index != last {
		t.Errorf("%d entries are there, want %d to %d", len(got), from, last)
	}
}

func TestASpareThatIsBegunIsFinished(t *testing.T) {
	fs, toggle, begun, release := blocking(vfs.NewMem())
	defer release()
	cfg := testConfig(fs)
	cfg.Spares, cfg.Recycled = 1, 3
	l, _ := openLog(t, cfg)
	last := uint64(0)
	for n := 2; n <= 3; n++ {
		awaitSpares(l, 1)
		last = appendSegments(t, l, last, n)
	}
	awaitSpares(l, 1)
	toggle.On()
	last = appendSegments(t, l, last, 4)
	<-begun
	if err := l.Cut(1, last-1); err != nil {
		t.Fatal(err)
	}
	release()
	awaitSpares(l, 4) // the one that was begun, and the three that came back
}
