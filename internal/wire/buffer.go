package wire

import (
	"math/bits"
	"sync"
	"sync/atomic"
)

// Buffer is the bytes of one request, in memory that is used again. Everything that
// views the bytes holds a reference; when the last is released, the memory may be
// another request's at once. A nil *Buffer stands for bytes that belong to the garbage
// collector: holding and releasing it does nothing.
//
// Built with -tags invariants, released memory is overwritten, so that whoever reads it
// late reads nonsense and not what happened to be there.
type Buffer struct {
	data []byte
	refs atomic.Int32
}

// The sizes of the memory that is kept are powers of two from the first to the last.
const (
	minBufferBits = 12
	maxBufferBits = 27 // twice the default largest batch
	// keptBufferBytes bounds what is kept of each size, but for one.
	keptBufferBytes = 8 << 20
)

// freeBuffers are the buffers that nobody holds, by size. A sync.Pool would be emptied
// by every other garbage collection, and those are frequent where the heap is small.
var freeBuffers [maxBufferBits - minBufferBits + 1]struct {
	mu   sync.Mutex
	list []*Buffer
}

// NewBuffer returns a buffer of n bytes, with anything in them. The caller has the one
// reference.
func NewBuffer(n int) *Buffer {
	b := takeBuffer(max(minBufferBits, bits.Len(uint(max(n, 1)-1))))
	b.data = b.data[:n]
	b.refs.Store(1)
	return b
}

func takeBuffer(sizeBits int) *Buffer {
	if sizeBits > maxBufferBits {
		return &Buffer{data: make([]byte, 1<<sizeBits)}
	}
	free := &freeBuffers[sizeBits-minBufferBits]
	free.mu.Lock()
	if last := len(free.list) - 1; last >= 0 {
		b := free.list[last]
		free.list[last] = nil
		free.list = free.list[:last]
		free.mu.Unlock()
		return b
	}
	free.mu.Unlock()
	return &Buffer{data: make([]byte, 1<<sizeBits)}
}

// Bytes are the buffer's bytes, valid for as long as the caller holds a reference.
func (b *Buffer) Bytes() []byte { return b.data }

// Hold adds a reference. The caller must have one, or be given one by who has.
func (b *Buffer) Hold() {
	if b != nil {
		b.refs.Add(1)
	}
}

// Release gives a reference back. The caller must not use the bytes any more.
func (b *Buffer) Release() {
	if b == nil {
		return
	}
	switch refs := b.refs.Add(-1); {
	case refs > 0:
		return
	case refs < 0:
		panic("wire: a buffer was released more often than held")
	}
	b.data = b.data[:cap(b.data)]
	poison(b.data)
	sizeBits := bits.Len(uint(cap(b.data)) - 1)
	if sizeBits > maxBufferBits {
		return
	}
	free := &freeBuffers[sizeBits-minBufferBits]
	free.mu.Lock()
	defer free.mu.Unlock()
	if len(free.list) == 0 || (len(free.list)+1)<<sizeBits <= keptBufferBytes {
		free.list = append(free.list, b)
	}
}
