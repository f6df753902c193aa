package main

import (
	"bytes"
	"hash/maphash"
	"sync"

	"github.com/puzpuzpuz/xsync/v4"
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
}

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
