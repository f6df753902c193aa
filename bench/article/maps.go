package main

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
	"sync"

	"github.com/puzpuzpuz/xsync/v4"

	"github.com/sheafdb/sheaf/shardmap"
)

// entry of a batch. Its bytes are the request's: who keeps them copies them.
type entry struct{ key, value []byte }

// versioned is what the article keeps for a key.
type versioned struct {
	version uint64
	value   []byte
}

// keeper is a map that takes batches. Each is written as its documentation would
// have it: none makes the batch visible at one instant but the one lock.
type keeper interface {
	putAll(entries []entry, version uint64)
	get(key []byte) (versioned, bool)
}

// articleSharded is the row that the article is about.
const articleSharded = "sharded, as in the article"

// keepers are the contestants. hint is the number of keys to come.
var keepers = []struct {
	name  string
	build func(hint int) keeper
}{
	{"sync.Map", func(int) keeper { return new(syncMap) }},
	{"map + RWMutex", func(hint int) keeper { return &lockedMap{values: make(map[string]versioned, hint)} }},
	{articleSharded, func(hint int) keeper { return newSharded(hint) }},
	{"xsync.Map", func(hint int) keeper { return &xsyncMap{xsync.NewMap[string, versioned](xsync.WithPresize(hint))} }},
	{"shardmap.Map", func(int) keeper { return &ourMap{shardmap.New[versioned]()} }},
	{ourBytesName, newOurBytes},
	{noMap, func(int) keeper { return &hashAndCopy{seed: maphash.MakeSeed()} }},
}

// Rows that the notes speak of.
const (
	ourBytesName = "shardmap.Bytes"
	// noMap is not a map: what every map must do at least.
	noMap = "hashing and copying alone"
)

func keep(e *entry, version uint64) versioned { return versioned{version, bytes.Clone(e.value)} }

type syncMap struct{ sync.Map }

func (m *syncMap) putAll(entries []entry, version uint64) {
	for i := range entries {
		m.Store(string(entries[i].key), keep(&entries[i], version))
	}
}

func (m *syncMap) get(key []byte) (versioned, bool) {
	v, ok := m.Load(string(key))
	if !ok {
		return versioned{}, false
	}
	return v.(versioned), true
}

type lockedMap struct {
	mu     sync.RWMutex
	values map[string]versioned
}

func (m *lockedMap) putAll(entries []entry, version uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range entries {
		m.values[string(entries[i].key)] = keep(&entries[i], version)
	}
}

func (m *lockedMap) get(key []byte) (versioned, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	v, ok := m.values[string(key)]
	return v, ok
}

// sharded is the article's: the entries of a batch are collected per shard, in
// slices that are made for the batch, and each shard is locked once.
type sharded struct {
	seed   maphash.Seed
	shards [shardCount]lockedMap
}

const shardCount = 32

func newSharded(hint int) *sharded {
	m := &sharded{seed: maphash.MakeSeed()}
	for i := range m.shards {
		m.shards[i].values = make(map[string]versioned, hint/shardCount)
	}
	return m
}

func (m *sharded) shard(key []byte) uint64 { return maphash.Bytes(m.seed, key) % shardCount }

func (m *sharded) putAll(entries []entry, version uint64) {
	parts := make([][]entry, shardCount)
	for _, e := range entries {
		at := m.shard(e.key)
		parts[at] = append(parts[at], e)
	}
	for i, part := range parts {
		if len(part) > 0 {
			m.shards[i].putAll(part, version)
		}
	}
}

func (m *sharded) get(key []byte) (versioned, bool) { return m.shards[m.shard(key)].get(key) }

type xsyncMap struct {
	*xsync.Map[string, versioned]
}

func (m *xsyncMap) putAll(entries []entry, version uint64) {
	for i := range entries {
		m.Store(string(entries[i].key), keep(&entries[i], version))
	}
}

func (m *xsyncMap) get(key []byte) (versioned, bool) { return m.Load(string(key)) }

// ourMap copies keys and values as the others do; a batch is one PutAll.
type ourMap struct{ m *shardmap.Map[versioned] }

func (m *ourMap) putAll(entries []entry, version uint64) {
	batch := make([]shardmap.Entry[versioned], len(entries))
	for i := range entries {
		batch[i] = shardmap.Entry[versioned]{Key: string(entries[i].key), Value: keep(&entries[i], version)}
	}
	m.m.PutAll(batch)
}

func (m *ourMap) get(key []byte) (versioned, bool) { return m.m.Get(string(key)) }

// ourBytes keeps the version before the value.
type ourBytes struct {
	m       *shardmap.Bytes
	batches sync.Pool // of *[]shardmap.BytesEntry
}

func newOurBytes(hint int) keeper {
	m := &ourBytes{m: shardmap.NewBytes(), batches: sync.Pool{New: func() any { return new([]shardmap.BytesEntry) }}}
	m.m.Reserve(hint)
	return m
}

func (m *ourBytes) putAll(entries []entry, version uint64) {
	batch := m.batches.Get().(*[]shardmap.BytesEntry)
	defer m.batches.Put(batch)
	*batch = (*batch)[:0]
	prefix := binary.BigEndian.AppendUint64(nil, version)
	for i := range entries {
		*batch = append(*batch, shardmap.BytesEntry{Key: entries[i].key, Prefix: prefix, Value: entries[i].value})
	}
	m.m.PutAll(*batch)
}

func (m *ourBytes) get(key []byte) (versioned, bool) {
	v, ok := m.m.Get(nil, key)
	if !ok {
		return versioned{}, false
	}
	return versioned{binary.BigEndian.Uint64(v), v[8:]}, true
}

// hashAndCopy keeps the last batch, in one piece of memory.
type hashAndCopy struct {
	mu      sync.Mutex
	seed    maphash.Seed
	sum     uint64
	data    []byte
	version uint64
	entries int
}

func (m *hashAndCopy) putAll(entries []entry, version uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.data, m.version, m.entries = m.data[:0], version, len(entries)
	for i := range entries {
		m.sum += maphash.Bytes(m.seed, entries[i].key)
		m.data = append(append(m.data, entries[i].key...), entries[i].value...)
	}
}

func (m *hashAndCopy) get(key []byte) (versioned, bool) {
	for i := range m.entries {
		at := m.data[i*(keyBytes+valueBytes):]
		if bytes.Equal(at[:keyBytes], key) {
			return versioned{m.version, at[keyBytes : keyBytes+valueBytes]}, true
		}
	}
	return versioned{}, false
}
