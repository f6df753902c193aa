package peer

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"
)

// A frame is
//
//	length    4 bytes, little endian: of the payload
//	checksum  4 bytes, little endian: CRC-32C of the length's bytes and the payload
//	payload
//
// The checksum covers the length so that a run of zeros is no frame.
const headerBytes = 8

const (
	// maxFrameBytes bounds a frame: the largest log entry is a batch of 64 MiB and its
	// header, and may follow other messages of the same frame.
	maxFrameBytes = 256 << 20
	// maxGreetingBytes bounds a frame before its sender is admitted.
	maxGreetingBytes = 64 << 10
	// firstBytes of a frame are taken memory for when it begins; from then on up to growth
	// times of what has arrived.
	firstBytes = 1 << 20
	growth     = 8
	// readBufferBytes is what one read of a connection may bring.
	readBufferBytes = 32 << 10
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// errBroken: the bytes that came are not those of a frame that was sent.
var errBroken = errors.New("broken frame")

// frameReader takes frames apart.
type frameReader struct {
	src    *bufio.Reader
	max    int
	header [headerBytes]byte
}

func newFrameReader(src io.Reader, maxBytes int) frameReader {
	return frameReader{src: bufio.NewReaderSize(src, readBufferBytes), max: maxBytes}
}

// read returns the payload of the next frame, which belongs to the caller. At io.EOF the
// connection ended between two frames.
func (r *frameReader) read() ([]byte, error) {
	size, err := r.begin()
	if err != nil {
		return nil, err
	}
	return r.payload(size)
}

// begin reads the header and returns the payload's size.
func (r *frameReader) begin() (int, error) {
	if _, err := io.ReadFull(r.src, r.header[:]); err != nil {
		return 0, err
	}
	size := binary.LittleEndian.Uint32(r.header[:])
	if uint64(size) > uint64(r.max) {
		return 0, fmt.Errorf("%w: it is said to have %d bytes, and may have %d", errBroken, size, r.max)
	}
	return int(size), nil
}

// payload reads what follows the header.
func (r *frameReader) payload(size int) ([]byte, error) {
	data := make([]byte, min(size, firstBytes))
	for have := 0; ; {
		if _, err := io.ReadFull(r.src, data[have:]); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
		have = len(data)
		if have == size {
			break
		}
		larger := make([]byte, min(size, growth*have))
		copy(larger, data)
		data = larger
	}
	sum := crc32.Update(crc32.Checksum(r.header[:4], castagnoli), castagnoli, data)
	if sum != binary.LittleEndian.Uint32(r.header[4:]) {
		return nil, fmt.Errorf("%w of %d bytes: its checksum is another", errBroken, size)
	}
	return data, nil
}

const (
	// copyBelow is the size from which a part is cheaper written from where it is.
	copyBelow = 4 << 10
	// keptBytes is how much memory a batch keeps for the next.
	keptBytes = 256 << 10
)

// batch gathers frames for one write. Long parts are not copied, and must not change until
// they are written.
type batch struct {
	buf    []byte // headers and short parts
	from   int    // where buf is not yet in pieces
	pieces net.Buffers
	size   int
}

// add puts a frame, given in parts, behind those that are there.
func (b *batch) add(parts ...[]byte) {
	size := sizeOf(parts)
	at := len(b.buf)
	b.buf = binary.LittleEndian.AppendUint32(b.buf, uint32(size))
	sum := crc32.Checksum(b.buf[at:], castagnoli)
	for _, part := range parts {
		sum = crc32.Update(sum, castagnoli, part)
	}
	b.buf = binary.LittleEndian.AppendUint32(b.buf, sum)
	b.size += headerBytes + size
	for _, part := range parts {
		if len(part) < copyBelow {
			b.buf = append(b.buf, part...)
			continue
		}
		b.pieces = append(b.pieces, b.buf[b.from:], part)
		b.from = len(b.buf)
	}
}

// raw puts the rest of a frame that was begun before all others.
func (b *batch) raw(rest []byte) {
	b.buf = append(b.buf, rest...)
	b.size += len(rest)
}

// writeTo writes the frames and forgets them. When it fails, the last of them did not
// arrive whole.
func (b *batch) writeTo(w io.Writer) (err error) {
	if b.from == 0 {
		_, err = w.Write(b.buf)
	} else {
		if b.from < len(b.buf) {
			b.pieces = append(b.pieces, b.buf[b.from:])
		}
		unwritten := b.pieces
		_, err = unwritten.WriteTo(w)
	}
	clear(b.pieces)
	b.pieces, b.buf, b.from, b.size = b.pieces[:0], b.buf[:0], 0, 0
	if cap(b.buf) > keptBytes {
		b.buf = nil
	}
	return err
}

func sizeOf(parts [][]byte) int {
	size := 0
	for _, part := range parts {
		size += len(part)
	}
	return size
}
