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

// Memory that is kept has one of a few sizes, four to a doubling, so a buffer takes at most
// a quarter more than it holds.
const (
	minBufferBits = 9
	maxBufferBits = 23
	bufferClasses = 1 + 4*(maxBufferBits-minBufferBits)
	// maxKeptBytes bounds what is kept of all sizes. Larger buffers than the largest size
	// are made for their request, and the garbage collector's afterwards.
	maxKeptBytes = 64 << 20
)

// free are the buffers that nobody holds, by size. A sync.Pool would be emptied by every
// other garbage collection, and those are frequent where the heap is small.
var free struct {
	mu    sync.Mutex
	bytes int
	lists [bufferClasses][]*Buffer
}

// bufferClass returns the class of buffers that n bytes fit in, and their size; -1 for
// more than the largest have.
func bufferClass(n int) (class, size int) {
	switch {
	case n <= 1<<minBufferBits:
		return 0, 1 << minBufferBits
	case n > 1<<maxBufferBits:
		return -1, n
	}
	below := bits.Len(uint(n-1)) - 1 // 2^below < n <= 2^(below+1)
	quarter := 1 << below / 4
	step := (n - 1 - 1<<below) / quarter
	return 1 + 4*(below-minBufferBits) + step, 1<<below + (step+1)*quarter
}

// NewBuffer returns a buffer of n bytes, with anything in them. The caller has the one
// reference.
func NewBuffer(n int) *Buffer {
	class, size := bufferClass(n)
	b := takeBuffer(class)
	if b == nil {
		b = &Buffer{data: make([]byte, size)}
	}
	b.data = b.data[:n]
	b.refs.Store(1)
	return b
}

func takeBuffer(class int) *Buffer {
	if class < 0 {
		return nil
	}
	free.mu.Lock()
	defer free.mu.Unlock()
	last := len(free.lists[class]) - 1
	if last < 0 {
		return nil
	}
	b := free.lists[class][last]
	free.lists[class][last] = nil
	free.lists[class] = free.lists[class][:last]
	free.bytes -= cap(b.data)
	return b
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
	class, _ := bufferClass(cap(b.data))
	if class < 0 {
		return
	}
	free.mu.Lock()
	defer free.mu.Unlock()
	if free.bytes+cap(b.data) <= maxKeptBytes {
		free.lists[class] = append(free.lists[class], b)
		free.bytes += cap(b.data)
	}
}
