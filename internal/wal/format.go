package wal

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
)

// Sizes of the format and its bounds, in bytes.
const (
	segmentHeaderBytes = 64
	recordHeaderBytes  = 48
	recordAlignBytes   = 8

	// maxPayloadBytes bounds Head and Body of one entry together.
	maxPayloadBytes = 128 << 20
	// maxAppendBytes bounds one Append with headers and padding.
	maxAppendBytes = 1 << 30
	// maxConfigSegmentBytes bounds Config.SegmentBytes.
	maxConfigSegmentBytes = 1 << 30
	// maxSegmentBytes bounds a segment file: offsets are 32 bits wide on disk.
	maxSegmentBytes = 1<<32 - recordAlignBytes
)

const (
	segmentMagic  = "sheafwal"
	formatVersion = 1
	segmentSuffix = ".wal"
	sparePrefix   = "spare-"
)

// recordKind says what a record holds. The values are on disk.
type recordKind uint64

const (
	kindEntry     recordKind = 1 // group, term, index; payload: the data
	kindHardState recordKind = 2 // group, term, index = commit; payload: vote
	kindCut       recordKind = 3 // group, index = last entry that was cut
	kindGroup     recordKind = 4 // preamble: a hard state; payload: vote, cut, last
	kindDrop      recordKind = 5 // index = sequence number of the first live segment
	kindMark      recordKind = 6 // nothing but its durable offset
	kindSeal      recordKind = 7 // index = sequence number of the next segment

	lastKind = kindSeal
)

// Payload bytes of the kinds that have a fixed one.
const (
	hardStatePayloadBytes = 8
	groupPayloadBytes     = 24
)

// castagnoli is CRC-32C, which amd64 and arm64 have an instruction for.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var le = binary.LittleEndian

// segmentHeader is the first block of a segment file.
type segmentHeader struct {
	seq   uint64
	logID uint64
	// nonce is drawn at random for each use of a file as a segment. It keeps
	// records apart even where a crash makes a sequence number be given again.
	nonce uint64
	// firstLive is the first segment that was still needed when this one began.
	firstLive uint64
	// writtenBytes is the length of the file, which was durable before the segment
	// began. A shorter file was cut short by something other than a crash.
	writtenBytes uint32
	// capacityBytes is the space set aside for the segment.
	capacityBytes uint32
	// preambleEnd is the offset after the preamble, which is durable.
	preambleEnd uint32
	// prevDurable is the durable offset of the segment before this one.
	prevDurable uint32
}

// encode writes the header into b, which has segmentHeaderBytes.
func (h *segmentHeader) encode(b []byte) {
	copy(b, segmentMagic)
	le.PutUint32(b[8:], formatVersion)
	le.PutUint64(b[16:], h.seq)
	le.PutUint64(b[24:], h.logID)
	le.PutUint64(b[32:], h.nonce)
	le.PutUint64(b[40:], h.firstLive)
	le.PutUint32(b[48:], h.writtenBytes)
	le.PutUint32(b[52:], h.capacityBytes)
	le.PutUint32(b[56:], h.preambleEnd)
	le.PutUint32(b[60:], h.prevDurable)
	le.PutUint32(b[12:], headerCRC(b))
}

// decodeSegmentHeader reads a header. The reason is empty if it is sound.
func decodeSegmentHeader(b []byte) (h segmentHeader, reason string) {
	switch {
	case len(b) < segmentHeaderBytes:
		return h, fmt.Sprintf("the segment header needs %d bytes and the file has %d", segmentHeaderBytes, len(b))
	case string(b[:8]) != segmentMagic:
		return h, "the segment header does not begin with " + strconv.Quote(segmentMagic)
	case le.Uint32(b[12:]) != headerCRC(b):
		return h, "the segment header does not match its checksum"
	case le.Uint32(b[8:]) != formatVersion:
		return h, fmt.Sprintf("the segment has format version %d and this program reads %d", le.Uint32(b[8:]), formatVersion)
	}
	h = segmentHeader{
		seq: le.Uint64(b[16:]), logID: le.Uint64(b[24:]), nonce: le.Uint64(b[32:]), firstLive: le.Uint64(b[40:]),
		writtenBytes: le.Uint32(b[48:]), capacityBytes: le.Uint32(b[52:]),
		preambleEnd: le.Uint32(b[56:]), prevDurable: le.Uint32(b[60:]),
	}
	if h.firstLive > h.seq || h.preambleEnd < segmentHeaderBytes || h.preambleEnd%recordAlignBytes != 0 {
		return h, "the segment header contradicts itself"
	}
	return h, ""
}

// headerCRC covers the segment header but for the checksum itself.
func headerCRC(b []byte) uint32 {
	return crc32.Update(crc32.Checksum(b[:12], castagnoli), castagnoli, b[16:segmentHeaderBytes])
}

// seed is what the checksums of the segment's records start from.
func (h *segmentHeader) seed() uint32 {
	var b [24]byte
	le.PutUint64(b[:], h.logID)
	le.PutUint64(b[8:], h.seq)
	le.PutUint64(b[16:], h.nonce)
	return crc32.Checksum(b[:], castagnoli)
}

// recordCRC covers a record header but for the checksum itself. A CRC maps
// different starting values to different results, and offsets fit 32 bits: a
// record that is moved within its segment never passes.
func recordCRC(seed uint32, offset int64, header []byte) uint32 {
	return crc32.Update(seed^uint32(offset), castagnoli, header[4:recordHeaderBytes])
}

// padded rounds up to the alignment of records.
func padded[T int | int64](n T) T { return (n + recordAlignBytes - 1) &^ (recordAlignBytes - 1) }

func segmentName(seq uint64) string { return fmt.Sprintf("%016x", seq) + segmentSuffix }

func spareName(n uint64) string { return sparePrefix + strconv.FormatUint(n, 10) }

// parseSegmentName is the inverse of segmentName. Names that segmentName would
// not give are not segments.
func parseSegmentName(name string) (seq uint64, ok bool) {
	digits, found := strings.CutSuffix(name, segmentSuffix)
	if !found || len(digits) != 16 {
		return 0, false
	}
	seq, err := strconv.ParseUint(digits, 16, 64)
	return seq, err == nil && seq > 0 && segmentName(seq) == name
}

// parseSpareName is the inverse of spareName.
func parseSpareName(name string) (n uint64, ok bool) {
	digits, found := strings.CutPrefix(name, sparePrefix)
	if !found {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	return n, err == nil && spareName(n) == name
}

// checksum covers a payload with its padding.
func checksum(padded []byte) uint32 { return crc32.Checksum(padded, castagnoli) }
