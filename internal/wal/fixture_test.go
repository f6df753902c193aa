package wal

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"
)

const testDir = "log"

// testConfig has segments so small that a few appends fill one, and no files
// made in the background.
func testConfig(fs vfs.FS) Config {
	return Config{FS: fs, Dir: testDir, SegmentBytes: 4 << 10, Spares: -1, Logger: slog.New(slog.DiscardHandler)}
}

// openLog opens a log, closed at the end of the test, and returns what it
// replayed.
func openLog(t testing.TB, cfg Config) (*Log, []Entry) {
	t.Helper()
	l, got, err := tryOpen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil && !errors.Is(err, ErrFailed) {
			t.Error(err)
		}
	})
	return l, got
}

func tryOpen(cfg Config) (*Log, []Entry, error) {
	var got []Entry
	l, err := Open(cfg, func(e Entry) error {
		e.Body = bytes.Clone(e.Body)
		got = append(got, e)
		return nil
	})
	return l, got, err
}

// reopen closes the log and opens it again.
func reopen(t testing.TB, l *Log, cfg Config) (*Log, []Entry) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return openLog(t, cfg)
}

func mustAppend(t testing.TB, l *Log, entries ...Entry) {
	t.Helper()
	if err := l.Append(entries, nil); err != nil {
		t.Fatal(err)
	}
}

// entry is an entry whose payload of the given size tells its group and index.
func entry(group, index uint64, size int) Entry {
	body := bytes.Repeat([]byte(fmt.Sprintf("%d/%d;", group, index)), size/4+1)[:size]
	return Entry{Group: group, Term: 1, Index: index, Body: body}
}

// wantEntries compares what was replayed; Head and Body count as one.
func wantEntries(t testing.TB, got []Entry, want ...Entry) {
	t.Helper()
	joined := make([]Entry, len(want))
	for i, e := range want {
		e.Body, e.Head = append(append([]byte{}, e.Head...), e.Body...), nil
		joined[i] = e
	}
	equalBytes := cmp.Comparer(bytes.Equal)
	if len(got)+len(want) == 0 {
		return
	}
	if diff := cmp.Diff(joined, got, equalBytes); diff != "" {
		t.Fatalf("entries differ (-want +got):\n%s", diff)
	}
}

func wantRange(t testing.TB, l *Log, group, first, last uint64) {
	t.Helper()
	if got := [2]uint64{l.FirstIndex(group), l.LastIndex(group)}; got != [2]uint64{first, last} {
		t.Fatalf("group %d has entries %v, want [%d %d]", group, got, first, last)
	}
}

func wantCorrupt(t testing.TB, err error, file string, offset int64) {
	t.Helper()
	var c *CorruptError
	if !errors.As(err, &c) {
		t.Fatalf("got error %v, want a CorruptError in %s at %d", err, file, offset)
	}
	if c.File != testDir+"/"+file || c.Offset != offset {
		t.Fatalf("got %v, want it in %s at %d", err, file, offset)
	}
}

// readFile returns the bytes of a file of the log.
func readFile(t testing.TB, fs vfs.FS, name string) []byte {
	t.Helper()
	f, err := fs.Open(testDir + "/" + name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, info.Size())
	if _, err := f.ReadAt(b, 0); err != nil {
		t.Fatal(err)
	}
	return b
}

// newMemWith returns a file system whose log directory has the given files.
func newMemWith(t testing.TB, content map[string][]byte) *vfs.MemFS {
	t.Helper()
	fs := vfs.NewMem()
	if err := fs.MkdirAll(testDir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, b := range content {
		f, err := fs.Create(testDir+"/"+name, writeCategory)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write(bytes.Clone(b)); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return fs
}

// snapshot returns the segments of the log, as a process that is killed leaves
// them.
func snapshot(t testing.TB, fs vfs.FS) map[string][]byte {
	t.Helper()
	names, err := fs.List(testDir)
	if err != nil {
		t.Fatal(err)
	}
	content := make(map[string][]byte)
	for _, name := range names {
		if _, ok := parseSegmentName(name); ok {
			content[name] = readFile(t, fs, name)
		}
	}
	return content
}

// awaitSpares waits until the background goroutine has made n spares.
func awaitSpares(l *Log, n int) {
	l.spares.mu.Lock()
	defer l.spares.mu.Unlock()
	for len(l.spares.ready) < n {
		l.spares.changed.Wait()
	}
}
