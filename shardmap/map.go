package shardmap

import (
	"hash/maphash"
	"math/bits"
	"sync"
	"unsafe"
)

// defaultShards is enough for a lock to be held for microseconds at a time, and few
// enough for a batch of thousands to find several keys in each.
const defaultShards = 64

// Map maps strings to values of any type. Use New.
type Map[V any] struct {
	seed    maphash.Seed
	shift   uint
	shards  []mapShard[V]
	batches batches
}

type mapShard[V any] struct {
	mu     sync.RWMutex
	values map[string]V
	_      [cacheLineBytes - 32]byte
}

// Entry is one write of a batch of a Map.
type Entry[V any] struct {
	Key    string
	Value  V
	Delete bool // remove the key; Value is not looked at
}

// New returns an empty map.
func New[V any]() *Map[V] {
	m := &Map[V]{seed: maphash.MakeSeed(), shards: make([]mapShard[V], defaultShards)}
	m.shift = shiftFor(defaultShards)
	for i := range m.shards {
		m.shards[i].values = make(map[string]V)
	}
	return m
}

// shiftFor takes a hash to one of a power of two of shards, by its highest bits.
func shiftFor(shards int) uint { return uint(64 - bits.TrailingZeros(uint(shards))) }

func (m *Map[V]) shard(key string) *mapShard[V] {
	return &m.shards[maphash.String(m.seed, key)>>m.shift]
}

// PutAll writes a batch. Of two entries with the same key the later counts. A GetAll
// sees all of it or nothing. Over keys that are there already it does not allocate.
func (m *Map[V]) PutAll(entries []Entry[V]) {
	if len(entries) == 0 {
		return
	}
	o := newOrder(len(entries), len(m.shards))
	defer o.free()
	for i := range entries {
		o.hashes[i] = maphash.String(m.seed, entries[i].Key)
	}
	o.sort(m.shift)
	m.batches.beginBatch()
	defer m.batches.endBatch()
	for i := range m.shards {
		mine := o.of(i)
		if len(mine) == 0 {
			continue
		}
		s := &m.shards[i]
		s.mu.Lock()
		for _, at := range mine {
			if e := &entries[at]; e.Delete {
				delete(s.values, e.Key)
			} else {
				s.values[e.Key] = e.Value
			}
		}
		s.mu.Unlock()
	}
}

// Put writes one key.
func (m *Map[V]) Put(key string, value V) {
	m.batches.begin()
	defer m.batches.end()
	s := m.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.values[key] = value
}

// Get returns the value of a key.
func (m *Map[V]) Get(key string) (value V, ok bool) {
	s := m.shard(key)
	s.mu.RLock()
	defer s.mu.RUnlock()
	value, ok = s.values[key]
	return value, ok
}

// GetAll looks keys up as of one instant. values and found are filled in the order of
// keys and must be as long.
func (m *Map[V]) GetAll(keys []string, values []V, found []bool) {
	m.batches.whole(func() {
		for i, key := range keys {
			values[i], found[i] = m.Get(key)
		}
	})
}

// Delete removes a key and reports whether it was there.
func (m *Map[V]) Delete(key string) bool {
	m.batches.begin()
	defer m.batches.end()
	s := m.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.values[key]
	delete(s.values, key)
	return ok
}

// Range calls visit with every key, in no order, until it returns false. A shard is
// locked for reading while its keys are visited: visit must not write to the map.
func (m *Map[V]) Range(visit func(key string, value V) bool) {
	for i := range m.shards {
		if !m.shards[i].each(visit) {
			return
		}
	}
}

func (s *mapShard[V]) each(visit func(key string, value V) bool) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for key, value := range s.values {
		if !visit(key, value) {
			return false
		}
	}
	return true
}

// Len is the number of keys.
func (m *Map[V]) Len() (n int) {
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.RLock()
		n += len(s.values)
		s.mu.RUnlock()
	}
	return n
}

// mapLoad is the share of a Go map's slots that are filled, on average (its most is
// 7/8), and mapControlBytes what it keeps for each slot.
const (
	mapLoad         = 0.66
	mapControlBytes = 1
)

// Memory estimates the bytes of the tables: the headers of keys and the values as they
// stand there. What keys and values point to is the caller's and not counted.
func (m *Map[V]) Memory() int64 {
	var e struct {
		key   string
		value V
	}
	return int64(float64(m.Len()) * float64(unsafe.Sizeof(e)+mapControlBytes) / mapLoad)
}
