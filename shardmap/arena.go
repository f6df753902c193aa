package shardmap

// arena holds the records of one shard, in chunks of memory that the garbage collector
// does not know. The shard's lock guards it.
//
// An address is a chunk's number and an offset in it, in units of 8 bytes; 0 is no
// record. A record that was removed or replaced by one of another size is dead. When
// the dead ones are too many, the live records of the chunk with most of them move to
// other chunks, and that chunk is free.
type arena struct {
	memory *allocator
	chunks []chunk
	// current is the chunk that records are added to, -1 before the first; unused are
	// the numbers of chunks without memory.
	current int
	unused  []int

	live, dead int64 // bytes of records
	waste      int64 // bytes at the ends of chunks that no record fits in
	killed     int64 // bytes that died since the last look for something to reclaim
	touched    uint64

	// What follows belongs to the snapshot numbered joined; see snapshot.go.
	joined   uint64
	finished bool
	cursor   int      // the first chunk that was not listed yet
	retained []uint32 // old records that died and were not listed yet
}

// chunk is a piece of memory that records are added to from its beginning.
type chunk struct {
	data []byte
	used int
	dead int
	// old is how much was used when the snapshot began: the records below are its.
	old int
}

const (
	// offsetBits is the part of an address that is the offset: chunks of 256 KiB. A
	// larger record has a chunk of its own, at offset 0.
	offsetBits = 15
	offsetMask = 1<<offsetBits - 1

	// maxChunks is as many as an address can name.
	maxChunks = 1 << (32 - offsetBits)

	minChunkBytes = 4 << 10
	maxChunkBytes = 256 << 10
	// chunkShare: a new chunk is this part of what the shard holds, so that the unused
	// part of the last one stays small.
	chunkShare = 16
)

func (a *arena) at(address uint32) record {
	return a.chunks[address>>offsetBits].data[int(address&offsetMask)*recordAlign:]
}

// add copies a record into the arena.
func (a *arena) add(key, prefix, value []byte) uint32 {
	size := recordBytes(len(key), len(prefix)+len(value))
	address, rec := a.place(size)
	rec.setHead(len(key), len(prefix)+len(value))
	begin, _, _ := rec.lengths()
	begin += copy(rec[begin:], key)
	begin += copy(rec[begin:], prefix)
	copy(rec[begin:], value)
	return address
}

// place makes room for a record.
func (a *arena) place(size int) (uint32, record) {
	if size > maxChunkBytes-recordAlign {
		// Of its own: the current chunk stays current. The room more is for the hole.
		n := a.open(size + recordAlign)
		address := a.take(n, size)
		a.waste += int64(len(a.chunks[n].data) - a.chunks[n].used)
		return address, a.at(address)
	}
	if a.current < 0 || a.chunks[a.current].used+size > len(a.chunks[a.current].data) {
		if a.current >= 0 {
			c := &a.chunks[a.current]
			a.waste += int64(len(c.data) - c.used)
		}
		bytes := minChunkBytes
		for bytes < maxChunkBytes && (bytes < size+recordAlign || int64(bytes) < (a.live+a.dead)/chunkShare) {
			bytes *= 2
		}
		a.current = a.open(bytes)
	}
	address := a.take(a.current, size)
	return address, a.at(address)
}

// open gets memory for a chunk and returns its number. Chunk 0 at offset 0 would have
// the address 0: the first chunk has a hole there.
func (a *arena) open(bytes int) int {
	n := len(a.chunks)
	if last := len(a.unused) - 1; last >= 0 {
		n, a.unused = a.unused[last], a.unused[:last]
	} else {
		if n == maxChunks {
			panic("shardmap: a shard is full: it has 131,072 chunks, 32 GiB of records or as many values above 256 KiB")
		}
		a.chunks = append(a.chunks, chunk{})
	}
	a.chunks[n] = chunk{data: a.memory.chunk(bytes)}
	if n == 0 {
		a.chunks[n].used = recordAlign
	}
	return n
}

func (a *arena) take(n, size int) uint32 {
	c := &a.chunks[n]
	address := uint32(n)<<offsetBits | uint32(c.used/recordAlign)
	c.used += size
	a.live += int64(size)
	return address
}

// overwrite replaces the value of a record in place, if it takes the same room and no
// snapshot needs the old one.
func (a *arena) overwrite(address uint32, key int, prefix, value []byte) bool {
	rec := a.at(address)
	n := len(prefix) + len(value)
	if recordBytes(key, n) != rec.size() || a.keeps(address) {
		return false
	}
	begin, _, old := rec.lengths()
	if headBytes(key, n) != begin {
		return false
	}
	if old != n {
		rec.setHead(key, n)
	}
	begin += key
	begin += copy(rec[begin:], prefix)
	copy(rec[begin:], value)
	return true
}

// kill says that no slot has the record any more.
func (a *arena) kill(address uint32) {
	if a.keeps(address) {
		a.retained = append(a.retained, address)
	}
	rec := a.at(address)
	rec.setDead()
	size := rec.size()
	a.chunks[address>>offsetBits].dead += size
	a.live -= int64(size)
	a.dead += int64(size)
	a.killed += int64(size)
}

// slack is how many bytes may be of no use before a chunk is taken back: a quarter of
// what is live, and two chunks of the size that the shard uses.
func (a *arena) slack() int64 {
	return a.live/4 + 2*min(maxChunkBytes, max(minChunkBytes, (a.live+a.dead)/chunkShare))
}

// reclaim moves live records out of the chunks with most dead bytes while there are too
// many. The work for one write is bounded by the bytes that it made dead, and one chunk
// more, so nobody waits for long and no debt builds up.
func (m *Bytes) reclaim(s *shard) {
	a := &s.arena
	budget := reclaimShare*a.killed + maxChunkBytes
	a.killed = 0
	if a.pending() {
		return
	}
	for budget > 0 && a.dead+a.waste > a.slack() {
		moved, ok := m.empty(s)
		if !ok {
			return
		}
		budget -= int64(moved) + minChunkBytes
	}
}

// reclaimShare is how many live bytes may move for one that died: chunks are taken back
// when a quarter or more of them is of no use.
const reclaimShare = 4

// empty takes back the chunk with most useless bytes and returns how many were moved;
// false when there is none.
func (m *Bytes) empty(s *shard) (moved int, ok bool) {
	a := &s.arena
	worst, most := -1, 0
	for n := range a.chunks {
		c := &a.chunks[n]
		if useless := c.dead + len(c.data) - c.used; c.data != nil && n != a.current && useless > most {
			worst, most = n, useless
		}
	}
	if worst < 0 {
		return 0, false
	}
	c := a.chunks[worst]
	begin := 0
	if worst == 0 {
		begin = recordAlign
	}
	for offset := begin; offset < c.used; {
		rec := record(c.data[offset:])
		size := rec.size()
		if !rec.dead() {
			from := uint32(worst)<<offsetBits | uint32(offset/recordAlign)
			to, copied := a.place(size)
			copy(copied[:size], rec[:size])
			a.live -= int64(size) // place has counted it a second time
			s.move(m.hash(copied.key()), from, to)
			moved += size
		}
		offset += size
	}
	a.dead -= int64(c.dead)
	a.waste -= int64(len(c.data) - c.used)
	a.chunks[worst] = chunk{}
	a.unused = append(a.unused, worst)
	a.memory.freeChunk(c.data)
	return moved, true
}
