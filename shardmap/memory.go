package shardmap

import (
	"math/bits"
	"sync"
	"unsafe"
)

// allocator gets memory from the system and hands it out: chunks of powers of two, cut
// from slabs and used again, and tables and large chunks by themselves. All of it is
// outside the garbage collector's heap where the system allows that (see system_*.go).
type allocator struct {
	mu   sync.Mutex
	slab []byte // what is left of the newest slab
	// free are the chunks that were taken back, by class; freeBytes is their size.
	// returned are those among them whose pages the system has.
	free, returned           [maxClass + 1][][]byte
	freeBytes, returnedBytes int64
	// mapped is everything that was taken from the system and not given back; bytes
	// its size.
	mapped map[*byte][]byte
	bytes  int64
}

const (
	// Slabs grow with the map from the first size to the second, as a part of it. What
	// is not handed out yet has no pages.
	firstSlabBytes = 1 << 20
	slabBytes      = 64 << 20
	slabShare      = 4

	// freeShare is the part of the map's memory that is kept for use when records
	// are removed or move to chunks of another class; the pages of what is more go back
	// to the system.
	freeShare = 8
	// maxClass is the class of the largest chunk: a chunk of class c has 4 KiB << c.
	maxClass = 6
)

// class is that of the chunk that holds bytes; above maxClass it has memory of its own.
func class(bytes int) int { return bits.Len(uint((bytes - 1) / minChunkBytes)) }

// chunk returns memory of at least bytes, as it is.
func (m *allocator) chunk(bytes int) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := class(bytes)
	if c > maxClass {
		return m.mapBytes(bytes)
	}
	size := minChunkBytes << c
	if data, ok := pop(&m.free[c]); ok {
		m.freeBytes -= int64(size)
		return data
	}
	if data, ok := pop(&m.returned[c]); ok {
		m.returnedBytes -= int64(size)
		return data
	}
	if len(m.slab) < size {
		for len(m.slab) >= minChunkBytes { // the rest serves smaller chunks
			rest := min(maxClass, bits.Len(uint(len(m.slab)/minChunkBytes))-1)
			n := minChunkBytes << rest
			m.free[rest] = append(m.free[rest], m.slab[:n:n])
			m.freeBytes += int64(n)
			m.slab = m.slab[n:]
		}
		m.slab = m.mapBytes(m.nextSlab())
	}
	data := m.slab[:size:size]
	m.slab = m.slab[size:]
	return data
}

func pop(chunks *[][]byte) (data []byte, ok bool) {
	last := len(*chunks) - 1
	if last < 0 {
		return nil, false
	}
	data = (*chunks)[last]
	*chunks = (*chunks)[:last]
	return data, true
}

func (m *allocator) nextSlab() int {
	n := firstSlabBytes
	for n < slabBytes && int64(n) < m.bytes/slabShare {
		n *= 2
	}
	return n
}

// freeChunk takes a chunk back.
func (m *allocator) freeChunk(data []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := class(len(data))
	if c > maxClass {
		m.unmapBytes(data)
		return
	}
	if size := int64(len(data)); m.freeBytes+size <= (m.bytes-m.returnedBytes)/freeShare {
		m.free[c] = append(m.free[c], data)
		m.freeBytes += size
	} else if returnSystem(data) {
		m.returned[c] = append(m.returned[c], data)
		m.returnedBytes += size
	} else {
		m.free[c] = append(m.free[c], data)
		m.freeBytes += size
	}
}

// minMappedSlots is the table from which on it is not in the heap.
const minMappedSlots = 4096

func (m *allocator) slots(n int) []uint64 {
	if n < minMappedSlots {
		return make([]uint64, n)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	data := m.mapBytes(n * slotBytes)
	// The system's memory is aligned to pages and zero.
	return unsafe.Slice((*uint64)(unsafe.Pointer(unsafe.SliceData(data))), n)
}

func (m *allocator) freeSlots(slots []uint64) {
	if len(slots) < minMappedSlots {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.unmapBytes(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(slots))), len(slots)*slotBytes))
}

func (m *allocator) mapBytes(n int) []byte {
	data := mapSystem(n)
	if m.mapped == nil {
		m.mapped = make(map[*byte][]byte)
	}
	m.mapped[unsafe.SliceData(data)] = data
	m.bytes += int64(len(data))
	return data
}

func (m *allocator) unmapBytes(data []byte) {
	first := unsafe.SliceData(data)
	whole := m.mapped[first]
	delete(m.mapped, first)
	m.bytes -= int64(len(whole))
	unmapSystem(whole)
}

func (m *allocator) reserved() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.bytes - m.returnedBytes - int64(len(m.slab))
}

// close gives everything back. It may be called twice.
func (m *allocator) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, data := range m.mapped {
		unmapSystem(data)
	}
	m.mapped, m.slab, m.bytes, m.freeBytes, m.returnedBytes = nil, nil, 0, 0, 0
	m.free, m.returned = [maxClass + 1][][]byte{}, [maxClass + 1][][]byte{}
}
