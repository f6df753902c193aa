package memory

import (
	"errors"
	"strings"
	"sync"

	"github.com/sheafdb/sheaf/internal/store"
)

// view is a hold of the store's lock for reading.
type view struct {
	store *Store // nil after Close
	key   []byte
}

// views are those that were closed: every batch takes two.
var views = sync.Pool{New: func() any { return new(view) }}

// View holds the store's lock until Close, and Apply with it. Once an Apply
// waits, the lock lets no reader in: a goroutine that opens a second View, a
// Scan, or moves a Cursor while it holds a View can wait for itself forever.
func (s *Store) View() store.View {
	s.mu.RLock()
	v := views.Get().(*view)
	v.store = s
	return v
}

func (v *view) Meta() store.Meta { return v.store.meta }

// Get returns the record's own bytes.
func (v *view) Get(space store.Space, key []byte) ([]byte, bool, error) {
	switch space {
	case store.Data, store.Rows, store.Attempts, store.Held, store.Own:
		value, ok := v.store.tables[tableIndex(space)].get(key)
		return value, ok, nil
	case store.Due:
		return nil, v.store.due.Has(string(key)), nil
	}
	return nil, false, nil
}

func (v *view) DueKeys(prefix []byte, visit func(key []byte) bool) error {
	first := string(prefix)
	v.store.due.AscendGreaterOrEqual(first, func(key string) bool {
		if !strings.HasPrefix(key, first) {
			return false
		}
		v.key = append(v.key[:0], key...)
		return visit(v.key)
	})
	return nil
}

func (v *view) Close() error {
	if v.store == nil {
		return errors.New("close view: it is closed")
	}
	v.store.mu.RUnlock()
	v.store = nil
	views.Put(v)
	return nil
}
