package wal

import "fmt"

// image is the content of one segment file in memory. Everything about what a
// segment says is decided here, from bytes alone; no input makes it panic or
// allocate by a length that the bytes claim.
type image struct {
	header segmentHeader
	seed   uint32
	data   []byte
}

// record is one record of an image. The payload aliases the image.
type record struct {
	kind               recordKind
	offset, end        int64
	durable            int64
	group, term, index uint64
	payload            []byte
}

// newImage checks the segment header. The reason is empty if it is sound.
func newImage(data []byte) (im image, reason string) {
	h, reason := decodeSegmentHeader(data)
	return image{header: h, seed: h.seed(), data: data}, reason
}

// headerAt decodes the record header at offset, which may be any multiple of
// the alignment. It says nothing about the payload.
func (im *image) headerAt(offset int64) (r record, ok bool) {
	if int64(len(im.data))-offset < recordHeaderBytes {
		return r, false
	}
	b := im.data[offset : offset+recordHeaderBytes]
	// The kind is compared first because it rejects nearly all bytes that are
	// not a header, and a scan asks at every multiple of eight.
	kind := recordKind(le.Uint64(b[16:]))
	if kind-1 >= lastKind || le.Uint32(b) != recordCRC(im.seed, offset, b) {
		return r, false
	}
	r = record{
		kind: kind, offset: offset, durable: int64(le.Uint32(b[12:])),
		group: le.Uint64(b[24:]), term: le.Uint64(b[32:]), index: le.Uint64(b[40:]),
	}
	r.end = offset + recordHeaderBytes + padded(int64(le.Uint32(b[8:])))
	return r, true
}

// recordAt decodes the record at offset with its payload. The reason is empty
// if it is sound.
func (im *image) recordAt(offset int64) (r record, reason string) {
	r, ok := im.headerAt(offset)
	if !ok {
		return r, "the record header does not match its checksum"
	}
	if r.end > int64(len(im.data)) {
		return r, fmt.Sprintf("the record ends at %d, after the end of the file", r.end)
	}
	body := im.data[offset+recordHeaderBytes : r.end]
	if le.Uint32(im.data[offset+4:]) != checksum(body) {
		return r, "the record does not match its checksum"
	}
	r.payload = body[:le.Uint32(im.data[offset+8:])]
	switch {
	case r.kind == kindHardState && len(r.payload) != hardStatePayloadBytes,
		r.kind == kindGroup && len(r.payload) != groupPayloadBytes,
		(r.kind == kindCut || r.kind >= kindDrop) && len(r.payload) != 0:
		return r, "the record has a payload of the wrong size"
	}
	return r, ""
}

// contents is what a walk over an image found.
type contents struct {
	// end is the offset after the last record that reads, and reason says why
	// there is no further one.
	end    int64
	reason string
	// sealed says that the last record is a seal, and next whom it names.
	sealed bool
	next   uint64
	// claimed is the highest durable offset that a record claims.
	claimed int64
	// used says that there are records behind the preamble.
	used bool
	// firstLive is the first segment still needed, as far as this one knows.
	firstLive uint64
}

// walk calls visit for each record from the first to the last that reads, and
// stops at the first error of visit.
func (im *image) walk(visit func(*record) error) (contents, error) {
	c := contents{end: segmentHeaderBytes, claimed: int64(im.header.preambleEnd), firstLive: im.header.firstLive}
	for !c.sealed {
		r, reason := im.recordAt(c.end)
		if reason != "" {
			c.reason = reason
			break
		}
		if visit != nil {
			if err := visit(&r); err != nil {
				return c, err
			}
		}
		switch r.kind {
		case kindSeal:
			c.sealed, c.next = true, r.index
		case kindDrop:
			c.firstLive = max(c.firstLive, r.index)
		}
		c.end, c.claimed = r.end, max(c.claimed, r.durable)
		c.used = c.used || r.end > int64(im.header.preambleEnd)
	}
	return c, nil
}

// tail is the verdict about what follows the last record that reads.
type tail struct {
	// damaged is the reason why this is no trace of a crash, empty if it may be.
	damaged string
	// torn says that a write had begun there.
	torn bool
	// zeroTo is the offset up to which zeros must go so that nothing there can
	// ever pass for a record of this segment.
	zeroTo int64
}

// judge looks at everything from end on, where no record reads. A header found
// further on was written by this use of the file, for its checksum says so;
// whether its payload came through does not matter for what it claims.
func (im *image) judge(c contents) tail {
	size := int64(len(im.data))
	t := tail{zeroTo: min(c.end+recordHeaderBytes, size)}
	if c.end < int64(im.header.preambleEnd) {
		t.damaged = fmt.Sprintf("%s, and the segment began with a preamble up to %d", c.reason, im.header.preambleEnd)
		return t
	}
	for _, b := range im.data[min(c.end, size):t.zeroTo] {
		t.torn = t.torn || b != 0
	}
	for at := c.end; at+recordHeaderBytes <= size; at += recordAlignBytes {
		r, ok := im.headerAt(at)
		if !ok {
			continue
		}
		if r.durable > c.end {
			t.damaged = fmt.Sprintf("%s, and a record at %d was written when everything up to %d was on disk",
				c.reason, at, r.durable)
			return t
		}
		t.torn, t.zeroTo = true, at+recordHeaderBytes
	}
	return t
}
