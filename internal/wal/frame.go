package wal

import "hash/crc32"

const (
	// copyBelowBytes: smaller payloads are copied next to their header, larger
	// ones become an iovec of their own. Around a page the copy is as cheap as
	// the kernel's handling of one more iovec.
	copyBelowBytes = 4 << 10
	// keepFrameBytes and keepFrameVecs bound what a frame keeps from one batch
	// for the next.
	keepFrameBytes = 1 << 20
	keepFrameVecs  = 4 << 10
)

// zeros is what padding and terminators are made of. Never written to.
var zeros [recordHeaderBytes]byte

// frame lays records out for one write at one offset of a segment. It is
// reused from write to write, so that encoding an entry allocates nothing.
type frame struct {
	seed    uint32
	durable uint32
	base    int64
	n       int64 // bytes laid out since base

	// buf holds headers, small payloads and padding. vecs point into it, so it
	// is only appended to; where append moves it, earlier vecs keep the old
	// array, whose bytes are final.
	buf []byte
	run int // start in buf of the bytes that are not in vecs
	// vecs alias the caller's payloads and are cleared by release.
	vecs [][]byte

	scratch [groupPayloadBytes]byte // the payload of the log's own records
}

// begin starts a frame at offset base of a segment of which durable bytes are
// known to be on disk.
func (f *frame) begin(seed uint32, base, durable int64) {
	f.seed, f.base, f.durable, f.n = seed, base, uint32(durable), 0
	f.buf, f.run, f.vecs = f.buf[:0], 0, f.vecs[:0]
}

// raw appends bytes that are not a record.
func (f *frame) raw(b []byte) {
	f.buf = append(f.buf, b...)
	f.n += int64(len(b))
}

// record appends one record whose payload is head followed by body. Neither is
// changed; both must stay as they are until release.
func (f *frame) record(kind recordKind, group, term, index uint64, head, body []byte) {
	at := len(f.buf)
	offset := f.base + f.n
	f.raw(zeros[:recordHeaderBytes])
	h := f.buf[at:]

	length := len(head) + len(body)
	pad := zeros[:padded(length)-length]
	crc := crc32.Update(0, castagnoli, head)
	crc = crc32.Update(crc, castagnoli, body)
	crc = crc32.Update(crc, castagnoli, pad)

	le.PutUint32(h[4:], crc)
	le.PutUint32(h[8:], uint32(length))
	le.PutUint32(h[12:], f.durable)
	le.PutUint64(h[16:], uint64(kind))
	le.PutUint64(h[24:], group)
	le.PutUint64(h[32:], term)
	le.PutUint64(h[40:], index)
	le.PutUint32(h, recordCRC(f.seed, offset, h))

	f.payload(head)
	f.payload(body)
	f.raw(pad)
}

// hardState appends a hard state record.
func (f *frame) hardState(s HardState) {
	le.PutUint64(f.scratch[:], s.Vote)
	f.record(kindHardState, s.Group, s.Term, s.Commit, f.scratch[:hardStatePayloadBytes], nil)
}

// group appends the preamble record of one group.
func (f *frame) group(g *group) {
	le.PutUint64(f.scratch[:], g.state.Vote)
	le.PutUint64(f.scratch[8:], g.cut)
	le.PutUint64(f.scratch[16:], g.last)
	f.record(kindGroup, g.id, g.state.Term, g.state.Commit, f.scratch[:groupPayloadBytes], nil)
}

// terminate appends zeros where the next header will be. They say that nothing
// follows, which in a recycled segment the old bytes would not, and are
// overwritten by the next frame.
func (f *frame) terminate() { f.buf = append(f.buf, zeros[:]...) }

// finish returns what is to be written at base, and how many bytes of it are
// records. The slices are valid until release.
func (f *frame) finish() (vecs [][]byte, recordBytes int64) {
	f.closeRun()
	return f.vecs, f.n
}

// release forgets the caller's payloads and gives large buffers back.
func (f *frame) release() {
	clear(f.vecs)
	f.vecs = f.vecs[:0]
	if cap(f.vecs) > keepFrameVecs {
		f.vecs = nil
	}
	if cap(f.buf) > keepFrameBytes {
		f.buf = nil
	}
}

func (f *frame) payload(p []byte) {
	if len(p) < copyBelowBytes {
		f.raw(p)
		return
	}
	f.closeRun()
	f.vecs = append(f.vecs, p)
	f.n += int64(len(p))
}

func (f *frame) closeRun() {
	if f.run < len(f.buf) {
		f.vecs = append(f.vecs, f.buf[f.run:len(f.buf):len(f.buf)])
		f.run = len(f.buf)
	}
}
