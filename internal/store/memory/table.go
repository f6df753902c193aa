package memory

import (
	"hash/maphash"
	"sync"
	"unsafe"

	"github.com/sheafdb/sheaf/internal/store"
)

// table maps the keys of one space to their values. The store's lock guards it:
// put and remove are called under Lock, the rest under RLock.
type table interface {
	get(key []byte) (value []byte, ok bool)
	put(shard int, r record)
	remove(shard int, key string)
	// shards is how many parts walk has; shardOf says which one holds a key.
	shards() int
	shardOf(key []byte) int
	walk(shard int, visit func(r record))
}

// Data and Rows have a table each; Due is the B-tree.
const tableCount = 2

func tableIndex(space store.Space) int { return int(space - store.Data) }

func newTable(kind TableKind) table {
	if kind == SyncMap {
		return &syncMap{}
	}
	t := &sharded{}
	for i := range t.maps {
		t.maps[i] = make(map[string][]byte)
	}
	return t
}

// record is a key and its value, in one piece of memory that nobody changes.
type record struct {
	key   string
	value []byte
}

// newRecord copies the parts, all of them into one allocation.
func newRecord(key, head, value []byte) record {
	data := make([]byte, len(key)+len(head)+len(value))
	copy(data, key)
	copy(data[len(key):], head)
	copy(data[len(key)+len(head):], value)
	return record{
		// Nobody writes to data any more, so its start may serve as a string.
		key:   unsafe.String(unsafe.SliceData(data), len(key)),
		value: data[len(key):],
	}
}

// shardCount keeps a shard of a table of ten million keys at 40,000, which a
// Flush lists in a few milliseconds.
const shardCount = 256

// sharded is many Go maps. Sharding buys no speed under one writer; it bounds
// how long Flush and Scan hold the lock at a time, and how much one map's
// growth adds to one Apply.
type sharded struct {
	maps [shardCount]map[string][]byte
}

// seed is the process's own, so that nobody can choose keys of one shard.
var seed = maphash.MakeSeed()

func (t *sharded) shardOf(key []byte) int { return int(maphash.Bytes(seed, key) % shardCount) }

func (t *sharded) get(key []byte) ([]byte, bool) {
	value, ok := t.maps[t.shardOf(key)][string(key)]
	return value, ok
}

// put also replaces the map's key: the old one points into the old record, which
// it would keep in memory.
func (t *sharded) put(shard int, r record) { t.maps[shard][r.key] = r.value }

func (t *sharded) remove(shard int, key string) { delete(t.maps[shard], key) }
func (t *sharded) shards() int                  { return shardCount }

func (t *sharded) walk(shard int, visit func(record)) {
	for key, value := range t.maps[shard] {
		visit(record{key, value})
	}
}

// syncMap is a sync.Map, written key by key.
type syncMap struct {
	entries sync.Map // string to []byte
}

func (t *syncMap) get(key []byte) ([]byte, bool) {
	value, ok := t.entries.Load(string(key))
	if !ok {
		return nil, false
	}
	return value.([]byte), true
}

func (t *syncMap) put(_ int, r record)      { t.entries.Store(r.key, r.value) }
func (t *syncMap) remove(_ int, key string) { t.entries.Delete(key) }
func (t *syncMap) shards() int              { return 1 }
func (t *syncMap) shardOf([]byte) int       { return 0 }
func (t *syncMap) walk(_ int, visit func(record)) {
	t.entries.Range(func(key, value any) bool {
		visit(record{key.(string), value.([]byte)})
		return true
	})
}
