package wal

import (
	"bytes"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const first = "0000000000000001.wal"

// logged returns a logger and what it has written.
func logged() (*slog.Logger, *bytes.Buffer) {
	var b bytes.Buffer
	return slog.New(slog.NewTextHandler(&b, nil)), &b
}

// withFile returns a copy of content in which one file is what change makes of
// a copy of it.
func withFile(content map[string][]byte, name string, change func([]byte) []byte) map[string][]byte {
	content = maps.Clone(content)
	content[name] = change(bytes.Clone(content[name]))
	return content
}

// wantRepaired opens the files, wants exactly the entries, appends one more,
// and wants that one too after another restart.
func wantRepaired(t *testing.T, content map[string][]byte, torn bool, offset int64, want ...Entry) {
	t.Helper()
	cfg := testConfig(newMemWith(t, content))
	logger, out := logged()
	cfg.Logger = logger
	l, got := openLog(t, cfg)
	wantEntries(t, got, want...)
	warned := strings.Contains(out.String(), fmt.Sprintf("file=%s/%s offset=%d", testDir, first, offset))
	if warned != torn {
		t.Errorf("torn is %v and the log says %q", torn, out)
	}
	next := entry(1, uint64(len(want)+1), 33)
	mustAppend(t, l, next)
	_, got = reopen(t, l, cfg)
	wantEntries(t, got, append(want, next)...)
}

// killed appends entries one by one and returns the files as they are then,
// with the offset of each record and of the end.
func killed(t *testing.T, cfg Config, entries ...Entry) (content map[string][]byte, offsets []int64) {
	t.Helper()
	l, _ := openLog(t, cfg)
	if cfg.Spares > 0 {
		awaitSpares(l, cfg.Spares)
	}
	for _, e := range entries {
		offsets = append(offsets, l.active.offset)
		mustAppend(t, l, e)
	}
	return snapshot(t, cfg.FS), append(offsets, l.active.offset)
}

func TestTornLastRecordIsRepairedAtEveryByte(t *testing.T) {
	kept := []Entry{entry(1, 1, 50), entry(1, 2, 13)}
	content, offsets := killed(t, testConfig(vfs.NewMem()), kept[0], kept[1], entry(1, 3, 61))
	from, to := offsets[2], offsets[3]
	rng := rand.New(rand.NewPCG(1, 2))
	for at := from; at < to; at++ {
		zero := func(b []byte) []byte { clear(b[at:]); return b }
		garbage := func(b []byte) []byte {
			for i := range b[at:] {
				b[at:][i] ^= byte(1 + rng.IntN(255))
			}
			return b
		}
		padding := at >= to-3 // zeros there are what was written
		if !padding {
			wantRepaired(t, withFile(content, first, zero), at > from, from, kept...)
		}
		wantRepaired(t, withFile(content, first, garbage), true, from, kept...)
	}
}

func TestTornBatchLeavesNothingThatComesBack(t *testing.T) {
	cfg := testConfig(vfs.NewMem())
	l, _ := openLog(t, cfg)
	mustAppend(t, l, entry(1, 1, 10))
	end := l.active.offset
	// Four records of one Append. The first is lost, the others are whole.
	mustAppend(t, l, entry(1, 2, 33), entry(1, 3, 33), entry(1, 4, 33), entry(1, 5, 33))
	content := withFile(snapshot(t, cfg.FS), first, func(b []byte) []byte {
		clear(b[end : end+recordHeaderBytes])
		return b
	})
	// wantRepaired appends an entry of the size of the lost one: the record
	// behind it, if it were still there, would continue the log.
	wantRepaired(t, content, true, end, entry(1, 1, 10))

	// The terminator of the next write may be lost in the next crash, so it is
	// not enough that it covers the record behind.
	fs := newMemWith(t, content)
	openLog(t, testConfig(fs))
	im, reason := newImage(readFile(t, fs, first))
	if reason != "" {
		t.Fatal(reason)
	}
	for at := end; at < int64(len(im.data)); at += recordAlignBytes {
		if _, ok := im.headerAt(at); ok {
			t.Errorf("the record at %d is still there", at)
		}
	}
}

func TestFlippedBitInAnInnerRecordIsRefused(t *testing.T) {
	content, offsets := killed(t, testConfig(vfs.NewMem()), entry(1, 1, 50), entry(1, 2, 61), entry(1, 3, 20))
	for i := range 2 {
		for at := offsets[i]; at < offsets[i+1]; at++ {
			flip := func(b []byte) []byte { b[at] ^= 1 << (at % 8); return b }
			_, got, err := tryOpen(testConfig(newMemWith(t, withFile(content, first, flip))))
			wantCorrupt(t, err, first, offsets[i])
			if len(got) > 0 {
				t.Fatal("entries of a damaged log were replayed")
			}
		}
	}
}

func TestFlippedBitInTheLastRecordIsRefusedAfterMarkIdle(t *testing.T) {
	cfg := testConfig(vfs.NewMem())
	l, _ := openLog(t, cfg)
	mustAppend(t, l, entry(1, 1, 50))
	from := l.active.offset
	mustAppend(t, l, entry(1, 2, 61))
	to := l.active.offset
	if err := l.MarkIdle(); err != nil {
		t.Fatal(err)
	}
	marked := l.active.offset
	if err := l.MarkIdle(); err != nil {
		t.Fatal(err)
	}
	if marked != to+recordHeaderBytes || l.active.offset != marked {
		t.Fatalf("two marks go from %d to %d to %d", to, marked, l.active.offset)
	}
	content := snapshot(t, cfg.FS)
	for at := from; at < to; at++ {
		flip := func(b []byte) []byte { b[at] ^= 0x10; return b }
		_, _, err := tryOpen(testConfig(newMemWith(t, withFile(content, first, flip))))
		wantCorrupt(t, err, first, from)
	}
	for at := to; at < marked; at++ { // the mark itself proves nothing
		flip := func(b []byte) []byte { b[at] ^= 0x10; return b }
		wantRepaired(t, withFile(content, first, flip), true, to, entry(1, 1, 50), entry(1, 2, 61))
	}
}

func TestMarkIdleNeverNeedsASegment(t *testing.T) {
	cfg := testConfig(vfs.NewMem())
	l, _ := openLog(t, cfg)
	for i := uint64(1); len(l.index.segments) < 5; i++ {
		segments := len(l.index.segments)
		if err := l.MarkIdle(); err != nil {
			t.Fatal(err)
		}
		if len(l.index.segments) != segments {
			t.Fatal("a mark began a segment")
		}
		mustAppend(t, l, entry(1, i, int(i*7%300)))
	}
}

// fourSegments returns the files of a log with segments 1 to 4 and how many
// entries it has.
func fourSegments(t *testing.T) (map[string][]byte, uint64) {
	t.Helper()
	cfg := testConfig(vfs.NewMem())
	l, _ := openLog(t, cfg)
	i := uint64(0)
	for len(l.index.segments) < 4 {
		i++
		mustAppend(t, l, entry(1, i, 100), entry(2, i, 200))
	}
	return snapshot(t, cfg.FS), i
}

func TestMissingSegmentIsRefused(t *testing.T) {
	content, _ := fourSegments(t)
	for seq := range uint64(4) {
		without := maps.Clone(content)
		delete(without, segmentName(seq+1))
		_, _, err := tryOpen(testConfig(newMemWith(t, without)))
		wantCorrupt(t, err, segmentName(seq+1), 0)
	}
}

func TestForeignSegmentIsRefused(t *testing.T) {
	content, _ := fourSegments(t)
	foreign, _ := fourSegments(t)
	for seq := range uint64(4) {
		name := segmentName(seq + 1)
		mixed := maps.Clone(content)
		mixed[name] = foreign[name]
		_, _, err := tryOpen(testConfig(newMemWith(t, mixed)))
		wantCorrupt(t, err, name, 0)
		mixed[name] = content[segmentName((seq+1)%4+1)]
		_, _, err = tryOpen(testConfig(newMemWith(t, mixed)))
		wantCorrupt(t, err, name, 0)
	}
}

func TestFlippedBitInASegmentHeaderIsRefused(t *testing.T) {
	content, _ := fourSegments(t)
	for seq := range uint64(4) {
		for at := range segmentHeaderBytes {
			name := segmentName(seq + 1)
			flip := func(b []byte) []byte { b[at] ^= 4; return b }
			_, _, err := tryOpen(testConfig(newMemWith(t, withFile(content, name, flip))))
			wantCorrupt(t, err, name, 0)
		}
	}
}

// TestFlippedBitInSealedSegmentsNeverLosesAnEntry flips bits all over the
// sealed segments. What lies behind the seal is not looked at.
func TestFlippedBitInSealedSegmentsNeverLosesAnEntry(t *testing.T) {
	content, n := fourSegments(t)
	var sealEnds [3]int64
	for seq := range sealEnds {
		im, reason := newImage(content[segmentName(uint64(seq)+1)])
		if reason != "" {
			t.Fatal(reason)
		}
		found, _ := im.walk(nil)
		sealEnds[seq] = found.end
	}
	for seq := range uint64(3) {
		name := segmentName(seq + 1)
		for at := 0; at < len(content[name]); at += 5 {
			flip := func(b []byte) []byte { b[at] ^= 0x80; return b }
			_, got, err := tryOpen(testConfig(newMemWith(t, withFile(content, name, flip))))
			behindSeal := int64(at) >= sealEnds[seq]
			if err == nil && (!behindSeal || uint64(len(got)) != 2*n) {
				t.Fatalf("a flipped bit at %d of %s gives %d entries of %d and no error", at, name, len(got), 2*n)
			}
			if err != nil && !strings.Contains(err.Error(), name) {
				t.Fatalf("a flipped bit at %d of %s gives %v", at, name, err)
			}
		}
	}
}

func TestSegmentCutShortIsRefused(t *testing.T) {
	content, _ := fourSegments(t)
	for seq := range uint64(4) {
		name := segmentName(seq + 1)
		for size := 0; size < len(content[name]); size += 3 {
			short := withFile(content, name, func(b []byte) []byte { return b[:size] })
			if _, _, err := tryOpen(testConfig(newMemWith(t, short))); err == nil || !strings.Contains(err.Error(), name) {
				t.Fatalf("%s with %d bytes gives %v", name, size, err)
			}
		}
	}
}

func TestSegmentThatWasWrittenThroughMayNotShrink(t *testing.T) {
	cfg := testConfig(vfs.NewMem())
	cfg.Spares = 1
	l, _ := openLog(t, cfg)
	awaitSpares(l, 1)
	i := uint64(0)
	for len(l.index.segments) < 2 {
		i++
		mustAppend(t, l, entry(1, i, 100))
	}
	name := segmentName(2)
	content := snapshot(t, cfg.FS)
	for _, size := range []int64{l.active.offset - 1, l.active.offset, cfg.SegmentBytes - 1} {
		short := withFile(content, name, func(b []byte) []byte { return b[:size] })
		_, _, err := tryOpen(testConfig(newMemWith(t, short)))
		wantCorrupt(t, err, name, size)
	}
}

// TestEntriesWithAGapAreRefused writes what Append would refuse.
func TestEntriesWithAGapAreRefused(t *testing.T) {
	cfg := testConfig(vfs.NewMem())
	l, _ := openLog(t, cfg)
	mustAppend(t, l, entry(1, 5, 10))
	at := l.active.offset
	l.beginFrame().record(kindEntry, 1, 1, 7, nil, nil)
	if err := l.commitFrame(); err != nil {
		t.Fatal(err)
	}
	_, _, err := tryOpen(testConfig(newMemWith(t, snapshot(t, cfg.FS))))
	wantCorrupt(t, err, first, at)
}

func TestCorruptErrorSaysWhereAndWhat(t *testing.T) {
	err := (&CorruptError{File: "/data/log/x.wal", Offset: 4711, Reason: "the reason"}).Error()
	for _, want := range []string{"/data/log/x.wal", "4711", "the reason"} {
		if !strings.Contains(err, want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
}

// TestPreambleThatKnowsMoreThanTheLogIsRefused makes one that does.
func TestPreambleThatKnowsMoreThanTheLogIsRefused(t *testing.T) {
	cfg := testConfig(vfs.NewMem())
	l, _ := openLog(t, cfg)
	mustAppend(t, l, entry(1, 1, 10))
	l.index.groups[1].last = 4
	if err := l.roll(0); err != nil {
		t.Fatal(err)
	}
	_, _, err := tryOpen(testConfig(newMemWith(t, snapshot(t, cfg.FS))))
	wantCorrupt(t, err, segmentName(2), segmentHeaderBytes)
}

func TestRecordPassesOnlyWhereItWasWritten(t *testing.T) {
	written := segmentHeader{seq: 3, logID: 4, nonce: 5}
	var f frame
	f.begin(written.seed(), 64, 0)
	f.record(kindEntry, 1, 2, 3, []byte("head"), []byte("body"))
	vecs, _ := f.finish()
	data := append(make([]byte, 64), bytes.Join(vecs, nil)...)
	passes := func(h segmentHeader, at int64, data []byte) bool {
		im := image{header: h, seed: h.seed(), data: data}
		_, reason := im.recordAt(at)
		return reason == ""
	}
	if !passes(written, 64, data) {
		t.Fatal("the record does not pass where it was written")
	}
	for _, h := range []segmentHeader{{seq: 2, logID: 4, nonce: 5}, {seq: 3, logID: 9, nonce: 5}, {seq: 3, logID: 4, nonce: 6}} {
		if passes(h, 64, data) {
			t.Errorf("the record passes in %+v", h)
		}
	}
	for at := int64(0); at < 200; at += recordAlignBytes {
		moved := append(make([]byte, at), data[64:]...)
		if at != 64 && passes(written, at, moved) {
			t.Errorf("the record passes at %d", at)
		}
	}
}
