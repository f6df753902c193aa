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
	// in the block cache, held by their closer until Close.
	copyBytes = 4 << 10
	// arenaBytes is the size of one piece of the view's memory.
	arenaBytes = 16 << 10
)

// view is the runs there were, a Pebble snapshot below them, and the memory of the
// values read from it.
type view struct {
	store *Store
	set   *runSet
	snap  *pebble.Snapshot
	meta  store.Meta

	// Values of Pebble's that were handed out point into arena or are held by
	// closers. A full arena is replaced, not grown, so that they never move.
	arena   []byte
	closers []io.Closer
	key     []byte
}

// View does not hold up Apply; it does keep the runs in memory, and Pebble from
// dropping the versions of keys that it sees.
func (s *Store) View() store.View {
	v := &view{store: s}
	v.set, v.meta, v.snap = s.stage.hold(s.db)
	return v
}

// Meta is that of the last log entry that the view sees.
func (v *view) Meta() store.Meta { return v.meta }

func (v *view) Get(space store.Space, key []byte) ([]byte, bool, error) {
	if rec, ok := v.set.find(space, key, v.meta.Index); ok {
		if rec.deletes() {
			return nil, false, nil
		}
		return rec.value(), true, nil
	}
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

// find returns the youngest record of a key as of a log entry.
func (set *runSet) find(space store.Space, key []byte, index uint64) (record, bool) {
	hash := hashOf(space, key)
	for _, r := range set.runs {
		if rec, ok := r.find(space, key, hash, index); ok {
			return rec, true
		}
	}
	return nil, false
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

func (v *view) Close() error {
	var errs []error
	for _, closer := range v.closers {
		errs = append(errs, closer.Close())
	}
	errs = append(errs, v.snap.Close())
	v.store.stage.release(v.set)
	v.set = nil
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close view: %w", v.store.readError(err))
	}
	return nil
}
