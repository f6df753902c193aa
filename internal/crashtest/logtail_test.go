package crashtest

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/sheafdb/sheaf/internal/wal"
)

// idleLog is the data directory of a process that was killed at rest, after
// three batches of which each has a record of its own, with the hard state behind it, and a
// mark behind them all.
type idleLog struct {
	dir, segment string
	data         []byte
	history      *history
	entries      []record
	mark         record
}

func newIdleLog(t *testing.T) *idleLog {
	t.Helper()
	l := &idleLog{dir: t.TempDir(), history: newHistory()}
	p := serve(t, l.dir, "memory", "--log-max-bytes", "8MiB")
	writeInTurn(t, p.addr, l.history, 3, 60, func(i int) []int { return []int{i, i + 1} })
	l.segment = segments(t, l.dir)[0]
	await(t, "mark behind the last batch", func() bool {
		l.data, l.entries, l.mark = mustRead(t, l.segment), nil, record{}
		for _, r := range recordsOf(l.data) {
			switch {
			case r.kind == markRecord:
				l.mark = r
			case r.kind == entryRecord && r.end-r.offset > recordBytes: // the first of a term has no data
				l.entries = append(l.entries, r)
			}
		}
		return len(l.entries) >= 3 && l.mark.offset >= l.entries[len(l.entries)-1].end
	})
	p.kill()
	if len(l.entries) != 3 {
		t.Fatalf("the log is not as planned: entries %+v, mark %+v", l.entries, l.mark)
	}
	return l
}

// with is the directory in memory with another content of the segment.
func (l *idleLog) with(t *testing.T, data []byte) (fs *vfs.MemFS, segment string) {
	t.Helper()
	fs = inMemoryCopy(t, l.dir, filepath.Base(l.segment))
	segment = fs.PathJoin(inMemory, "log", filepath.Base(l.segment))
	replace(t, fs, segment, data)
	return fs, segment
}

// known is what the callers know when the last batch may be lost: they would
// not have been answered by the disk that lost it.
func (l *idleLog) known(lastMayBeLost bool) *history {
	h := newHistory()
	h.batches = l.history.batches
	for _, b := range l.history.acked {
		again := *b
		h.acked = append(h.acked, &again)
	}
	if lastMayBeLost {
		h.demote(len(h.acked) - 1)
	}
	return h
}

// TestALogTornAtAnyByteOfItsEndKeepsAllBatchesBefore: nothing behind the tear says
// that more was on disk, so it is the trace of a crash and is repaired, with a
// warning that names the place. A batch is never there in part.
func TestALogTornAtAnyByteOfItsEndKeepsAllBatchesBefore(t *testing.T) {
	t.Parallel()
	l, rng := newIdleLog(t), newRand(t)
	last := l.entries[2]
	for at := last.offset; at <= l.mark.end; at++ {
		data := slices.Clone(l.data)
		clear(data[at:])
		fs, segment := l.with(t, data)
		cfg := settings(inMemory, "memory")
		n := startNode(t, fs, cfg)
		torn := at > last.offset && at < last.end
		warning := fmt.Sprintf("file=%s offset=%d", segment, last.offset)
		if torn && !strings.Contains(n.log.String(), warning) && !lostOnlyPadding(l.data, at, last.end) {
			t.Errorf("torn at %d: no warning with %q in the log:\n%s", at, warning, n.log)
		}
		l.known(at < last.end).verify(t, n.addr(), rng)
		n.mustStop(t)
		if at%16 == 0 { // the repair must hold in the next start too
			startNode(t, fs, cfg).mustStop(t)
		}
	}
}

// lostOnlyPadding says that what follows had been zeros up to the end.
func lostOnlyPadding(data []byte, at, end int64) bool {
	return len(bytes.Trim(data[at:end], "\x00")) == 0
}

// TestAFlippedBitInAnAcknowledgedBatchIsRefused at every byte: a record behind it
// proves that it was on disk whole, so no crash explains it.
func TestAFlippedBitInAnAcknowledgedBatchIsRefused(t *testing.T) {
	t.Parallel()
	l, rng := newIdleLog(t), newRand(t)
	for _, r := range l.entries {
		for at := r.offset; at < r.end; at++ {
			damaged := flipped(l.data, at, rng)
			fs, segment := l.with(t, damaged)
			n, err := tryNode(t, fs, settings(inMemory, "memory"))
			var corrupt *wal.CorruptError
			switch {
			case n != nil:
				t.Fatalf("byte %d of the record at %d is damaged and the node serves", at, r.offset)
			case !errors.As(err, &corrupt) || corrupt.File != segment || corrupt.Offset != r.offset:
				t.Errorf("byte %d of the record at %d is damaged: %v", at, r.offset, err)
			case !bytes.Equal(readFrom(t, fs, segment), damaged):
				t.Errorf("byte %d of the record at %d is damaged, and the refusal changed the file", at, r.offset)
			}
		}
	}
}

// TestAFlippedBitInTheMarkLosesNothing: behind the last batch it is the trace of
// a crash.
func TestAFlippedBitInTheMarkLosesNothing(t *testing.T) {
	t.Parallel()
	l, rng := newIdleLog(t), newRand(t)
	for at := l.mark.offset; at < l.mark.end; at++ {
		fs, _ := l.with(t, flipped(l.data, at, rng))
		n := startNode(t, fs, settings(inMemory, "memory"))
		l.known(false).verify(t, n.addr(), rng)
		n.mustStop(t)
	}
}

// TestTheProgramSaysWhichLogFileIsDamagedAndWhatToDo is the same story as an
// operator meets it.
func TestTheProgramSaysWhichLogFileIsDamagedAndWhatToDo(t *testing.T) {
	t.Parallel()
	l, rng := newIdleLog(t), newRand(t)
	inside := l.entries[1]
	mustWrite(t, l.segment, flipped(l.data, inside.offset+50, rng))
	refused(t, l.dir, "memory", exitDamaged, l.segment, fmt.Sprintf("offset %d", inside.offset), "backup", "next:")
}
