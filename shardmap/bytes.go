package shardmap

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
	"runtime"
	"sync"
	"sync/atomic"
)

// Bytes maps byte strings to byte strings, both copied into arenas of its own. Use
// NewBytes. Close gives the memory back at once; a map that is dropped gives it back
// when the garbage collector finds it.
type Bytes struct {
	seed    maphash.Seed
	shift   uint
	shards  []shard
	batches batches
	memory  *allocator

	// snapshot is the number of the snapshot that is open, 0 for none; taken counts
	// them.
	snapshot atomic.Uint64
	taken    uint64
}

// BytesEntry is one write of a batch of a Bytes. The map keeps none of its slices.
type BytesEntry struct {
	Key []byte
	// The value is Prefix followed by Value: callers that put a header of their own
	// before a value need not copy both together.
	Prefix, Value []byte
	Delete        bool // remove the key; Prefix and Value are not looked at
}

// shard is one part of the map: a table of slots and the arena of its records.
//
// A slot is a tag (32 bits of the key's hash) and a record's address, 0 when it is
// empty. The tag alone says where the search for a key begins, by multiplication
// instead of a mask: so the table may grow by half, and is filled anew without looking
// at a key. Tables are searched linearly; a removed slot is filled from behind.
type shard struct {
	mu    sync.RWMutex
	slots []uint64
	count int
	most  int // of count before the table grows
	// loadPercent differs from shard to shard, so that not all grow at once.
	loadPercent int
	arena       arena
	_           [cacheLineBytes]byte
}

// NewBytes returns an empty map.
func NewBytes() *Bytes {
	m := &Bytes{
		seed: maphash.MakeSeed(), shift: shiftFor(defaultShards),
		shards: make([]shard, defaultShards), memory: &allocator{},
	}
	for i := range m.shards {
		s := &m.shards[i]
		s.loadPercent = 70 + i*15/len(m.shards)
		s.arena.memory, s.arena.current = m.memory, -1
	}
	// On the shards and not on m: whoever reads the memory holds a shard's lock, so
	// the shards are reachable for as long as that.
	runtime.AddCleanup(&m.shards[0], (*allocator).close, m.memory)
	return m
}

// Close empties the map and gives its memory back. What Peek and Range have shown must not
// be used afterwards; the map is not to be written any more.
func (m *Bytes) Close() {
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		s.slots, s.count, s.arena.chunks, s.arena.retained = nil, 0, nil, nil
		s.mu.Unlock()
	}
	m.memory.close()
}

func (m *Bytes) hash(key []byte) uint64 { return maphash.Bytes(m.seed, key) }

// PutAll writes a batch. Of two entries with the same key the later counts. A GetAll
// sees all of it or nothing. In the steady state it does not allocate.
func (m *Bytes) PutAll(entries []BytesEntry) {
	if len(entries) == 0 {
		return
	}
	o := newOrder(len(entries), len(m.shards))
	defer o.free()
	for i := range entries {
		o.hashes[i] = m.hash(entries[i].Key)
	}
	o.sort(m.shift)
	m.batches.beginBatch()
	defer m.batches.endBatch()
	for i := range m.shards {
		if mine := o.of(i); len(mine) > 0 {
			m.write(&m.shards[i], entries, o.hashes, mine)
		}
	}
}

// write puts a batch's entries of one shard into it.
func (m *Bytes) write(s *shard, entries []BytesEntry, hashes []uint64, mine []uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.arena.join(m.snapshot.Load())
	s.arena.touched = s.touch(entries, hashes, mine)
	for n, at := range mine {
		// The entries of a shard are scattered over the batch: begin to load one while
		// those before it are written.
		if n+lookAhead < len(mine) {
			if key := entries[mine[n+lookAhead]].Key; len(key) > 0 {
				s.arena.touched += uint64(key[0])
			}
		}
		if e := &entries[at]; e.Delete {
			s.remove(hashes[at], e.Key)
		} else {
			s.put(hashes[at], e.Key, e.Prefix, e.Value)
		}
	}
	m.reclaim(s)
}

// lookAhead is how many entries ahead write looks.
const lookAhead = 6

// touchBytes is how much a shard must hold for touch to pay: with less, the map is a few
// times as large as a processor's own cache.
const touchBytes = 32 << 10

// touch reads the slots that the keys will begin at, the records there and the keys.
// None of these loads waits for another, so the memory serves many at once; those of put
// would come one after the other. The sum keeps them from being optimised away.
func (s *shard) touch(entries []BytesEntry, hashes []uint64, mine []uint32) (sum uint64) {
	if s.arena.live < touchBytes {
		return 0 // it is in the processor's caches, or will be after the first batches
	}
	const group = 32
	var words [group]uint64
	for len(mine) > 0 {
		n := min(group, len(mine))
		for i, at := range mine[:n] {
			words[i] = s.slots[s.home(uint32(hashes[at]))]
			if key := entries[at].Key; len(key) > 0 {
				sum += uint64(key[0])
			}
		}
		for _, word := range words[:n] {
			if word != 0 {
				sum += uint64(s.arena.at(uint32(word))[0])
			}
		}
		mine = mine[n:]
	}
	return sum
}

// Put writes one key; see BytesEntry for prefix.
func (m *Bytes) Put(key, prefix, value []byte) {
	hash := m.hash(key)
	m.batches.begin()
	defer m.batches.end()
	s := &m.shards[hash>>m.shift]
	s.mu.Lock()
	defer s.mu.Unlock()
	s.arena.join(m.snapshot.Load())
	s.put(hash, key, prefix, value)
	m.reclaim(s)
}

// Delete removes a key and reports whether it was there.
func (m *Bytes) Delete(key []byte) bool {
	hash := m.hash(key)
	m.batches.begin()
	defer m.batches.end()
	s := &m.shards[hash>>m.shift]
	s.mu.Lock()
	defer s.mu.Unlock()
	s.arena.join(m.snapshot.Load())
	removed := s.remove(hash, key)
	m.reclaim(s)
	return removed
}

// Get appends the value of a key to dst and returns it.
func (m *Bytes) Get(dst, key []byte) (value []byte, ok bool) {
	hash := m.hash(key)
	s := &m.shards[hash>>m.shift]
	s.mu.RLock()
	defer s.mu.RUnlock()
	if i := s.find(hash, key); i >= 0 {
		return append(dst, s.arena.at(uint32(s.slots[i])).value()...), true
	}
	return dst, false
}

// Peek returns the value of a key as it stands in the map, without a copy. It is valid
// until the next write to the map, which the caller must keep away meanwhile, and must
// not be changed.
func (m *Bytes) Peek(key []byte) (value []byte, ok bool) {
	hash := m.hash(key)
	s := &m.shards[hash>>m.shift]
	s.mu.RLock()
	defer s.mu.RUnlock()
	if i := s.find(hash, key); i >= 0 {
		return s.arena.at(uint32(s.slots[i])).value(), true
	}
	return nil, false
}

// Values is what GetAll fills: values in the order of the keys. It can be used again.
type Values struct {
	data []byte
	ends []int
	has  []bool
}

// Len is the number of keys that were looked up.
func (v *Values) Len() int { return len(v.ends) }

// At returns the value of the i-th key. It is valid until v is filled again.
func (v *Values) At(i int) (value []byte, ok bool) {
	begin := 0
	if i > 0 {
		begin = v.ends[i-1]
	}
	return v.data[begin:v.ends[i]:v.ends[i]], v.has[i]
}

// GetAll copies the values of keys, as of one instant, into v.
func (m *Bytes) GetAll(keys [][]byte, v *Values) {
	m.batches.whole(func() {
		v.data, v.ends, v.has = v.data[:0], v.ends[:0], v.has[:0]
		for _, key := range keys {
			var ok bool
			v.data, ok = m.Get(v.data, key)
			v.ends, v.has = append(v.ends, len(v.data)), append(v.has, ok)
		}
	})
}

// Range calls visit with every key and value, in no order, until it returns false. They
// are valid during the call. A shard is locked for reading while its keys are visited:
// visit must not write to the map.
func (m *Bytes) Range(visit func(key, value []byte) bool) {
	for i := range m.shards {
		if !m.shards[i].each(visit) {
			return
		}
	}
}

func (s *shard) each(visit func(key, value []byte) bool) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, word := range s.slots {
		if word == 0 {
			continue
		}
		if rec := s.arena.at(uint32(word)); !visit(rec.key(), rec.value()) {
			return false
		}
	}
	return true
}

// Len is the number of keys.
func (m *Bytes) Len() (n int) {
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.RLock()
		n += s.count
		s.mu.RUnlock()
	}
	return n
}

// Reserve makes room in the tables for keys that are about to come, in all.
func (m *Bytes) Reserve(keys int) {
	perShard := keys / len(m.shards)
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		if slots := perShard*100/s.loadPercent + 1; slots > len(s.slots) {
			s.resize(slots)
		}
		s.mu.Unlock()
	}
}

// MemoryUse is what a Bytes takes, in bytes.
type MemoryUse struct {
	// Live is the records that can be read, Dead those that cannot and were not taken
	// back yet (some may be kept for a snapshot), Slots the tables.
	Live, Dead, Slots int64
	// Reserved is all memory taken from the system and not given back, with the three
	// above. What was never handed out to a record is not in it: it has no pages.
	Reserved int64
}

// Memory returns what the map takes.
func (m *Bytes) Memory() (use MemoryUse) {
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.RLock()
		use.Live += s.arena.live
		use.Dead += s.arena.dead
		use.Slots += int64(len(s.slots)) * slotBytes
		s.mu.RUnlock()
	}
	use.Reserved = m.memory.reserved()
	return use
}

const slotBytes = 8

// home is where the search for a tag begins.
func (s *shard) home(tag uint32) int { return int(uint64(tag) * uint64(len(s.slots)) >> 32) }

// find returns the slot of a key, -1 if it is not there.
func (s *shard) find(hash uint64, key []byte) int {
	if s.count == 0 {
		return -1
	}
	tag := uint32(hash)
	for i := s.home(tag); ; i = s.next(i) {
		word := s.slots[i]
		if word == 0 {
			return -1
		}
		if uint32(word>>32) == tag && bytes.Equal(s.arena.at(uint32(word)).key(), key) {
			return i
		}
	}
}

func (s *shard) next(i int) int {
	if i++; i == len(s.slots) {
		return 0
	}
	return i
}

// replace overwrites the value of a key whose record has the same lengths: the usual case
// of a key that is there. It says the same as find and overwrite in one look at the
// record's head.
func (s *shard) replace(hash uint64, key, prefix, value []byte) bool {
	n := len(prefix) + len(value)
	if s.count == 0 || len(key) > maxShortKey || n > maxShortValue {
		return false
	}
	head := shortHead(len(key), n)
	tag := uint32(hash)
	for i := s.home(tag); s.slots[i] != 0; i = s.next(i) {
		word := s.slots[i]
		if uint32(word>>32) != tag {
			continue
		}
		rec := s.arena.at(uint32(word))
		if binary.LittleEndian.Uint32(rec) != head || string(rec[wordBytes:wordBytes+len(key)]) != string(key) {
			continue
		}
		if s.arena.keeps(uint32(word)) {
			return false
		}
		room := rec[wordBytes+len(key):][:n]
		copy(room[copy(room, prefix):], value)
		return true
	}
	return false
}

func (s *shard) put(hash uint64, key, prefix, value []byte) {
	if s.replace(hash, key, prefix, value) {
		return
	}
	if i := s.find(hash, key); i >= 0 {
		if s.arena.overwrite(uint32(s.slots[i]), len(key), prefix, value) {
			return
		}
		old := uint32(s.slots[i])
		s.slots[i] = uint64(uint32(hash))<<32 | uint64(s.arena.add(key, prefix, value))
		s.arena.kill(old)
		return
	}
	if s.count >= s.most {
		s.resize(max(firstSlots, len(s.slots)*3/2))
	}
	s.insert(uint64(uint32(hash))<<32 | uint64(s.arena.add(key, prefix, value)))
	s.count++
}

// firstSlots is the size of a shard's first table.
const firstSlots = 8

// insert puts a slot that is not there into the table.
func (s *shard) insert(word uint64) {
	i := s.home(uint32(word >> 32))
	for s.slots[i] != 0 {
		i = s.next(i)
	}
	s.slots[i] = word
}

func (s *shard) resize(slots int) {
	old := s.slots
	s.slots = s.arena.memory.slots(slots)
	s.most = slots * s.loadPercent / 100
	for _, word := range old {
		if word != 0 {
			s.insert(word)
		}
	}
	s.arena.memory.freeSlots(old)
}

func (s *shard) remove(hash uint64, key []byte) bool {
	i := s.find(hash, key)
	if i < 0 {
		return false
	}
	s.arena.kill(uint32(s.slots[i]))
	s.count--
	// Close the gap: move up what could not stand where it wanted to because of it.
	for j := s.next(i); s.slots[j] != 0; j = s.next(j) {
		home := s.home(uint32(s.slots[j] >> 32))
		if stays := i < j && i < home && home <= j || j < i && (home <= j || i < home); !stays {
			s.slots[i] = s.slots[j]
			i = j
		}
	}
	s.slots[i] = 0
	return true
}

// move says that a record has another address. It is called for live records only.
func (s *shard) move(hash uint64, from, to uint32) {
	tag := uint32(hash)
	for i := s.home(tag); ; i = s.next(i) {
		if s.slots[i] == uint64(tag)<<32|uint64(from) {
			s.slots[i] = uint64(tag)<<32 | uint64(to)
			return
		}
	}
}
