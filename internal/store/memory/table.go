package memory

import (
	"errors"
	"sync"

	"github.com/sheafdb/sheaf/internal/store"
	"github.com/sheafdb/sheaf/shardmap"
)

// table maps the keys of one space to their values. The store's lock guards it: write,
// reserve and freeze are called under Lock, get and len under RLock. keys, and what
// freeze returned, are used without it, so that they do not hold up Apply.
type table interface {
	// write applies a batch; it keeps none of its slices.
	write(batch []shardmap.BytesEntry)
	// get returns a value that is valid as long as the lock is held.
	get(key []byte) (value []byte, ok bool)
	// keys calls visit with every key; it is valid during the call.
	keys(visit func(key []byte))
	len() int
	// reserve makes room for keys that are about to be written.
	reserve(keys int)
	// freeze returns the table as of this instant.
	freeze() (frozen, error)
	close()
}

// frozen is a table as of one instant, while writes to the table go on. It belongs to
// one goroutine and must be closed.
type frozen interface {
	// parts is how many pieces walk has; each can be walked once.
	parts() int
	// walk calls visit with the records of one part until it returns an error.
	walk(part int, visit func(key, value []byte) error) error
	close()
}

// Due is the B-tree; every other space has a table.
const tableCount = 5

func tableIndex(space store.Space) int {
	if space > store.Due {
		return int(space - store.Data - 1)
	}
	return int(space - store.Data)
}

// tableSpaces are the tables' spaces, by tableIndex.
var tableSpaces = [tableCount]store.Space{store.Data, store.Rows, store.Attempts, store.Held, store.Own}

func newTable(kind TableKind) table {
	if kind == SyncMap {
		return &syncMap{}
	}
	return arenas{shardmap.NewBytes()}
}

// arenas is a shardmap.Bytes.
type arenas struct{ *shardmap.Bytes }

func (t arenas) write(batch []shardmap.BytesEntry)      { t.PutAll(batch) }
func (t arenas) get(key []byte) (value []byte, ok bool) { return t.Peek(key) }
func (t arenas) len() int                               { return t.Len() }
func (t arenas) reserve(keys int)                       { t.Reserve(keys) }
func (t arenas) close()                                 { t.Close() }

func (t arenas) keys(visit func(key []byte)) {
	t.Range(func(key, _ []byte) bool {
		visit(key)
		return true
	})
}

func (t arenas) freeze() (frozen, error) {
	s, ok := t.Snapshot()
	if !ok {
		return nil, errors.New("a snapshot of the table is open")
	}
	return arenasFrozen{s}, nil
}

type arenasFrozen struct{ s *shardmap.Snapshot }

func (f arenasFrozen) parts() int { return f.s.Shards() }
func (f arenasFrozen) close()     { f.s.Close() }

func (f arenasFrozen) walk(part int, visit func(key, value []byte) error) error {
	return f.s.Range(part, visit)
}

// syncMap is a sync.Map, written key by key. Its values are never changed, only
// replaced, so to freeze it is to list them.
type syncMap struct {
	entries sync.Map // string to []byte
	count   int
}

func (t *syncMap) write(batch []shardmap.BytesEntry) {
	for i := range batch {
		e := &batch[i]
		var had bool
		if e.Delete {
			if _, had = t.entries.LoadAndDelete(string(e.Key)); had {
				t.count--
			}
			continue
		}
		value := append(append(make([]byte, 0, len(e.Prefix)+len(e.Value)), e.Prefix...), e.Value...)
		if _, had = t.entries.Swap(string(e.Key), value); !had {
			t.count++
		}
	}
}

func (t *syncMap) get(key []byte) ([]byte, bool) {
	value, ok := t.entries.Load(string(key))
	if !ok {
		return nil, false
	}
	return value.([]byte), true
}

func (t *syncMap) keys(visit func(key []byte)) {
	t.entries.Range(func(key, _ any) bool {
		visit([]byte(key.(string)))
		return true
	})
}

func (t *syncMap) len() int    { return t.count }
func (t *syncMap) reserve(int) {}
func (t *syncMap) close()      {}

func (t *syncMap) freeze() (frozen, error) {
	var list syncMapFrozen
	t.entries.Range(func(key, value any) bool {
		list = append(list, listed{key.(string), value.([]byte)})
		return true
	})
	return list, nil
}

type listed struct {
	key   string
	value []byte
}

type syncMapFrozen []listed

func (f syncMapFrozen) parts() int { return 1 }
func (f syncMapFrozen) close()     {}

func (f syncMapFrozen) walk(_ int, visit func(key, value []byte) error) error {
	for _, r := range f {
		if err := visit([]byte(r.key), r.value); err != nil {
			return err
		}
	}
	return nil
}
