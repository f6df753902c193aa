package wal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"runtime"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// FuzzReplay opens a log whose only segment has arbitrary bytes. With reseal
// the checksums are made right first, so that what lies behind them is reached.
// Whatever the bytes are, Open answers with an error or a log that works, and
// does not allocate by what the bytes claim.
func FuzzReplay(f *testing.F) {
	cfg := testConfig(vfs.NewMem())
	l, _ := openLog(f, cfg)
	if err := l.Append([]Entry{entry(1, 5, 9), entry(2, 1, 100), entry(1, 6, 0)}, []HardState{{1, 2, 3, 4}}); err != nil {
		f.Fatal(err)
	}
	if err := l.Cut(1, 5); err != nil {
		f.Fatal(err)
	}
	mustAppend(f, l, entry(1, 6, 20))
	if err := l.MarkIdle(); err != nil {
		f.Fatal(err)
	}
	sound := readFile(f, cfg.FS, first)
	f.Add(sound, false)
	f.Add(sound, true)
	f.Add(sound[:200], true)
	f.Add([]byte{}, false)

	f.Fuzz(func(t *testing.T, data []byte, reseal bool) {
		data = bytes.Clone(data)
		if reseal {
			resealImage(data)
		}
		cfg := testConfig(newMemWith(t, map[string][]byte{first: data}))
		before := allocated()
		l, err := Open(cfg, func(Entry) error { return nil })
		if grown := allocated() - before; grown > 64<<10+64*uint64(len(data)) {
			t.Errorf("opening %d bytes allocates %d", len(data), grown)
		}
		if err != nil {
			var c *CorruptError
			if !errors.As(err, &c) {
				t.Fatalf("got %v, want a CorruptError", err)
			}
			return
		}
		next := entry(42, 1, 10)
		if g := l.index.groups[42]; g != nil {
			if g.last == math.MaxUint64 {
				return
			}
			next.Index = g.last + 1
		}
		mustAppend(t, l, next)
		l, got := reopen(t, l, cfg)
		if len(got) == 0 || l.LastIndex(42) != next.Index {
			t.Fatalf("entry %d of group 42 is lost: the log ends at %d", next.Index, l.LastIndex(42))
		}
	})
}

// resealImage makes bytes a segment 1 whose header and records have right
// checksums, as far as their lengths fit.
func resealImage(b []byte) {
	if len(b) < segmentHeaderBytes {
		return
	}
	copy(b, segmentMagic)
	binary.LittleEndian.PutUint32(b[8:], formatVersion)
	binary.LittleEndian.PutUint64(b[16:], 1)
	binary.LittleEndian.PutUint32(b[12:], headerCRC(b))
	h, reason := decodeSegmentHeader(b)
	if reason != "" {
		return
	}
	seed := h.seed()
	for at := segmentHeaderBytes; at+recordHeaderBytes <= len(b); {
		r := b[at:]
		length := int(binary.LittleEndian.Uint32(r[8:]))
		end := at + recordHeaderBytes + padded(length)
		if end > len(b) || bytes.Equal(r[:recordHeaderBytes], zeros[:]) {
			return
		}
		binary.LittleEndian.PutUint32(r[4:], checksum(b[at+recordHeaderBytes:end]))
		binary.LittleEndian.PutUint32(r, recordCRC(seed, int64(at), r))
		at = end
	}
}

func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}
