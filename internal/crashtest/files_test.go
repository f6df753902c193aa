package crashtest

import (
	"encoding/binary"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/sheafdb/sheaf/client"
)

// The record kinds of internal/wal/README.md that matter here.
const (
	entryRecord = 1
	markRecord  = 6
)

// recordBytes is the head of a record.
const recordBytes = 48

// record is one record of a segment.
type record struct {
	kind        uint64
	offset, end int64
}

// recordsOf walks a sound segment by the format of internal/wal/README.md. It is
// written from that page and shares no code with the log.
func recordsOf(segment []byte) (records []record) {
	const headerBytes = 64
	at := int64(headerBytes)
	for at+recordBytes <= int64(len(segment)) {
		head := segment[at : at+recordBytes]
		kind := binary.LittleEndian.Uint64(head[16:])
		if kind == 0 { // the terminator
			break
		}
		payload := int64(binary.LittleEndian.Uint32(head[8:]))
		end := at + recordBytes + (payload+7)&^7
		records = append(records, record{kind, at, end})
		at = end
	}
	return records
}

// writtenBytes is how much of the file was on disk before it became a segment.
func writtenBytes(segment []byte) uint32 { return binary.LittleEndian.Uint32(segment[48:]) }

// segments lists the log of a data directory, oldest first.
func segments(t *testing.T, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "log", "*.wal"))
	if err != nil || len(names) == 0 {
		t.Fatalf("%s has no log: %v", dir, err)
	}
	slices.Sort(names)
	return names
}

func mustRead(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func mustWrite(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func mustRemove(t *testing.T, name string) {
	t.Helper()
	if err := os.RemoveAll(name); err != nil {
		t.Fatal(err)
	}
}

// copied is a copy of a data directory that a test may ruin.
func copied(t *testing.T, dir string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "node")
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return to
}

// inMemoryCopy is the same in memory, where a start costs a few milliseconds. It
// leaves out what has no content, the ballast and the spare segments, and the named files.
func inMemoryCopy(t *testing.T, dir string, without ...string) *vfs.MemFS {
	t.Helper()
	fs := vfs.NewMem()
	empty := vfs.CloneSkip(func(path string) bool {
		name := filepath.Base(path)
		return name == "BALLAST" || strings.HasPrefix(name, "spare-") || slices.Contains(without, name)
	})
	if _, err := vfs.Clone(vfs.Default, fs, dir, inMemory, empty); err != nil {
		t.Fatal(err)
	}
	return fs
}

func readFrom(t *testing.T, fs vfs.FS, name string) []byte {
	t.Helper()
	f, err := fs.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // only read
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	data := make([]byte, info.Size())
	if _, err := io.ReadFull(f, data); err != nil {
		t.Fatal(err)
	}
	return data
}

func replace(t *testing.T, fs vfs.FS, name string, data []byte) {
	t.Helper()
	f, err := fs.Create(name, vfs.WriteCategoryUnspecified)
	if err == nil {
		_, err = f.Write(data)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// flipped is data with one bit of a byte turned.
func flipped(data []byte, at int64, rng *rand.Rand) []byte {
	data = slices.Clone(data)
	data[at] ^= 1 << rng.IntN(8)
	return data
}

// writeInTurn writes batches one after the other, so that each has a record of
// its own in the log.
func writeInTurn(t *testing.T, addr string, h *history, batches, valueBytes int, groupsOf func(i int) []int) {
	t.Helper()
	c := connect(t, addr)
	for i := range batches {
		b := h.begin(groupsOf(i), valueBytes)
		result, err := c.PutAll(t.Context(), b.entries(), client.WithRequestID(b.id))
		if err != nil {
			t.Fatal(err)
		}
		h.acknowledge(b, result.Version)
	}
}

// oneGroup spreads batches over the groups in turn.
func oneGroup(i int) []int { return []int{i % keyGroups} }
