package pebble

import (
	"errors"
	"fmt"
	"io"

	"github.com/cockroachdb/pebble/v2"

	"github.com/sheafdb/sheaf/internal/store"
)

const (
	// copyBytes: values up to this size are copied into the view's memory, which
	// gives Pebble its iterator back at once. Larger ones stay where they are,
	// in the block cache or the memtable, held by their closer until Close.
	copyBytes = 4 << 10
	// arenaBytes is the size of one piece of the view's memory.
	arenaBytes = 16 << 10
)

// view is a Pebble snapshot and the memory of the values read from it.
type view struct {
	store *Store
	snap  *pebble.Snapshot

	meta     store.Meta
	metaRead bool

	// Values handed out point into arena or are held by closers. A full arena is
	// replaced, not grown, so that they never move.
	arena   []byte
	closers []io.Closer
	key     []byte
}

// View takes a snapshot. It does not hold up Apply; it does keep Pebble from
// dropping the versions of keys that it sees.
func (s *Store) View() store.View {
	return &view{store: s, snap: s.db.NewSnapshot()}
}

// Meta reads the Meta the first time. A store that cannot say how far it is
// cannot serve anything, and zero would mean an empty one: failing to read it
// ends the process.
func (v *view) Meta() store.Meta {
	if !v.metaRead {
		meta, err := v.store.readMeta(v.snap)
		if err != nil {
			v.store.die(err)
		}
		v.meta, v.metaRead = meta, true
	}
	return v.meta
}

func (v *view) Get(space store.Space, key []byte) ([]byte, bool, error) {
	v.key = append(append(v.key[:0], byte(space)), key...)
	data, closer, err := v.snap.Get(v.key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("get key: %w", v.store.readError(err))
	}
	if len(data) > copyBytes {
		v.closers = append(v.closers, closer)
		return data, true, nil
	}
	data = v.keep(data)
	if err := closer.Close(); err != nil {
		return nil, false, fmt.Errorf("get key: %w", v.store.readError(err))
	}
	return data, true, nil
}

// keep copies data into the view's memory. The result has no room to append.
func (v *view) keep(data []byte) []byte {
	if cap(v.arena)-len(v.arena) < len(data) {
		size := arenaBytes
		if v.arena == nil {
			size = max(len(data), 256) // most views read one or two small values
		}
		v.arena = make([]byte, 0, size)
	}
	start := len(v.arena)
	v.arena = append(v.arena, data...)
	return v.arena[start:len(v.arena):len(v.arena)]
}

func (v *view) DueKeys(prefix []byte, visit func(key []byte) bool) error {
	from := v.store.due.from(v.Meta().Index, prefix)
	iter, err := v.snap.NewIter(&pebble.IterOptions{
		LowerBound: spaceKey(store.Due, from), UpperBound: successor(spaceKey(store.Due, prefix)),
	})
	if err != nil {
		return fmt.Errorf("read due keys: %w", v.store.readError(err))
	}
	ok := iter.First()
	if ok && len(prefix) == 1 {
		v.store.due.found(v.Meta().Index, iter.Key()[1:])
	}
	for ok && visit(iter.Key()[1:]) {
		ok = iter.Next()
	}
	// Close reports the error that ended the iteration, if there was one.
	if err := iter.Close(); err != nil {
		return fmt.Errorf("read due keys: %w", v.store.readError(err))
	}
	return nil
}

func (v *view) Close() error {
	var errs []error
	for _, closer := range v.closers {
		errs = append(errs, closer.Close())
	}
	errs = append(errs, v.snap.Close())
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close view: %w", v.store.readError(err))
	}
	return nil
}
