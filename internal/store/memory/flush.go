package memory

import (
	"fmt"

	"github.com/google/btree"

	"github.com/sheafdb/sheaf/internal/store"
)

// image is the state as of one log entry, while Apply goes on.
type image struct {
	meta   store.Meta
	tables [tableCount]frozen
	keys   int // of space Data
	// changed is how much was written since the image before.
	changed int64
	due     *btree.BTreeG[string]
}

// freeze takes the image. Apply waits for an instant only: the tables and the B-tree
// copy what is changed later. (A sync.Map is listed whole meanwhile.)
func (s *Store) freeze() (img image, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.freezeLocked()
}

// freezeLocked is freeze for who holds the lock.
func (s *Store) freezeLocked() (img image, err error) {
	img.meta, img.keys, img.due = s.meta, s.tables[tableIndex(store.Data)].len(), s.due.Clone()
	for i, t := range s.tables {
		if img.tables[i], err = t.freeze(); err != nil {
			img.close()
			return image{}, err
		}
	}
	img.changed = s.changedBytes.Swap(0)
	return img, nil
}

func (img *image) close() {
	for _, t := range img.tables {
		if t != nil {
			t.close()
		}
	}
}

// Flush writes a snapshot of the state at the log entry applied last, and
// returns its index. After an error the older snapshot is still the newest.
func (s *Store) Flush() (uint64, error) {
	s.flushMu.Lock()
	defer s.flushMu.Unlock()
	if s.closed.Load() {
		return s.durable.Load(), fmt.Errorf("flush store: %w", errClosed)
	}
	img, err := s.freeze()
	if err != nil {
		return s.durable.Load(), fmt.Errorf("flush store: %w", err)
	}
	defer img.close()
	if img.meta.Index == s.durable.Load() {
		return img.meta.Index, nil
	}
	err = writeSnapshot(s.fs, s.dir, img.meta, img.keys, func(w *snapshotWriter) error {
		return s.writeImage(w, &img, nil)
	})
	if err != nil {
		s.changedBytes.Add(img.changed)
		return s.durable.Load(), fmt.Errorf("flush store: %w", err)
	}
	s.noteSnapshot(img.meta.Index)
	s.durable.Store(img.meta.Index)
	if err := removeOthers(s.fs, s.dir, img.meta.Index); err != nil {
		// The snapshot stands; the next Flush or Open removes the rest.
		s.logger.Warn("remove old snapshots", "err", err)
	}
	return img.meta.Index, nil
}

// recordBytes is what a snapshot adds to a record's bytes, rounded up.
const recordBytes = 16

// FlushBytes returns about how large the next snapshot will be; the one before
// is removed only when it is whole.
func (s *Store) FlushBytes() int64 { return s.snapshotBytes.Load() + s.changedBytes.Load() }

// noteSnapshot remembers the size of the snapshot of index.
func (s *Store) noteSnapshot(index uint64) {
	if info, err := s.fs.Stat(s.fs.PathJoin(s.dir, snapshotName(index))); err == nil {
		s.snapshotBytes.Store(info.Size())
	}
}

// writeImage writes all records; seen, if not nil, is told of those of the tables.
func (s *Store) writeImage(w *snapshotWriter, img *image, seen func(space store.Space, key, value []byte)) error {
	return s.walk(img, func(space store.Space, key, value []byte) error {
		if seen != nil && space != store.Due {
			seen(space, key, value)
		}
		return w.add(space, key, value)
	})
}

// walk visits all records of an image, once.
func (s *Store) walk(img *image, visit func(space store.Space, key, value []byte) error) error {
	for i, t := range img.tables {
		space := tableSpaces[i]
		for part := range t.parts() {
			if s.closed.Load() {
				return errClosed
			}
			err := t.walk(part, func(key, value []byte) error { return visit(space, key, value) })
			if err != nil {
				return err
			}
		}
	}
	var err error
	img.due.Ascend(func(key string) bool {
		err = visit(store.Due, []byte(key), nil)
		return err == nil
	})
	return err
}
