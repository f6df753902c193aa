package shardmap

import (
	"hash/maphash"
	"runtime"
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
