package shardmap

import (
	"math/bits"
	"sync"
	"unsafe"
)

// allocator gets memory from the system and hands it out: chunks of powers of two and
// tables, both cut from slabs, which lie on huge pages, and used again; large chunks by
// themselves. All of it is outside the garbage collector's heap where the system allows
// that (see system_*.go).
type allocator struct {
	mu   sync.Mutex
	slab []byte // what is left of the newest slab
	// chunks are those that were taken back, by class, and unused is the size of those
	// among them that have pages.
	chunks [maxClass + 1]chunkList
	unused int64
	// takenBack counts bytes of chunks since the last giveBack.
	takenBack int64
	// tableSlab is what is left of the newest slab of tables, and tables are those that
	// were taken back, without pages, by size: all shards grow through the same sizes.
	tableSlab []byte
	tables    map[int][][]byte
	// mapped is everything that was taken from the system and not given back; bytes
	// its size.
	mapped map[*byte][]byte
	bytes  int64
	// absentBytes are those among bytes that have no pages, but for the two slabs' rests:
	// nobody has touched them since they were mapped or given back.
	absentBytes int64
}

const (
	// Slabs grow with the map from the first size to the second, as a part of it. What
	// is not handed out yet has no pages.
	firstSlabBytes = 1 << 20
	slabBytes      = 64 << 20
	slabShare      = 4

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
	list := &m.chunks[c]
	if data, ok := list.take(); ok {
		m.unused -= int64(size)
		return data
	}
	if data, ok := pop(&list.returned); ok {
		m.absentBytes -= int64(size)
		return data
	}
	if len(m.slab) < size {
		for len(m.slab) >= minChunkBytes { // the rest serves smaller chunks
			rest := min(maxClass, bits.Len(uint(len(m.slab)/minChunkBytes))-1)
			n := minChunkBytes << rest
			m.keep(rest, m.slab[:n:n])
			m.slab = m.slab[n:]
		}
		m.slab = m.mapBytes(m.nextSlab())
	}
	data := m.slab[:size:size]
	m.slab = m.slab[size:]
	return data
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
	m.keep(c, data)
	m.takenBack += int64(len(data))
	present := m.bytes - m.absentBytes
	for m.unused > present/2 && m.giveBack(c) { // most of the map was deleted
	}
	if m.takenBack > 2*present {
		m.giveBackIdle()
	}
}

func (m *allocator) keep(c int, data []byte) {
	m.chunks[c].free = append(m.chunks[c].free, data)
	m.unused += int64(len(data))
}

// minMappedSlots is the table from which on it is not in the heap.
const minMappedSlots = 4096

// slots returns an empty table.
func (m *allocator) slots(n int) []uint64 {
	if n < minMappedSlots {
		return make([]uint64, n)
	}
	data := m.table(tableBytes(n))
	// The system's memory is aligned to pages.
	return unsafe.Slice((*uint64)(unsafe.Pointer(unsafe.SliceData(data))), n)
}

// tableBytes is the room of a table, in whole pages.
func tableBytes(slots int) int { return (slots*slotBytes + minChunkBytes - 1) &^ (minChunkBytes - 1) }

// table returns zeroed memory of a size that tableBytes gave.
func (m *allocator) table(size int) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	if same := m.tables[size]; len(same) > 0 {
		data, _ := pop(&same)
		m.tables[size] = same
		m.absentBytes = max(0, m.absentBytes-int64(size))
		clear(data) // not every system has given the pages back
		return data
	}
	if len(m.tableSlab) < size {
		m.absentBytes += int64(len(m.tableSlab))
		m.tableSlab = m.mapBytes(max(m.nextSlab(), size))
	}
	data := m.tableSlab[:size:size]
	m.tableSlab = m.tableSlab[size:]
	return data
}

func (m *allocator) freeSlots(slots []uint64) {
	if len(slots) < minMappedSlots {
		return
	}
	size := tableBytes(len(slots))
	data := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(slots))), size)
	m.mu.Lock()
	defer m.mu.Unlock()
	if returnSystem(data) {
		m.absentBytes += int64(size)
	}
	if m.tables == nil {
		m.tables = make(map[int][][]byte)
	}
	m.tables[size] = append(m.tables[size], data)
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
	return m.bytes - m.absentBytes - int64(len(m.slab)+len(m.tableSlab))
}

// close gives everything back. It may be called twice.
func (m *allocator) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, data := range m.mapped {
		unmapSystem(data)
	}
	m.mapped, m.slab, m.tableSlab, m.tables = nil, nil, nil, nil
	m.chunks = [maxClass + 1]chunkList{}
	m.bytes, m.absentBytes, m.unused, m.takenBack = 0, 0, 0, 0
}
