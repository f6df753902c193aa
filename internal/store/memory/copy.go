package memory

import (
	"errors"
	"fmt"

	"github.com/sheafdb/sheaf/internal/store"
)

// Copy writes a snapshot into a directory of its own.
func (s *Store) Copy(dir string) (store.Copied, error) {
	copied, err := s.copy(dir)
	if err != nil {
		return store.Copied{}, fmt.Errorf("copy store: %w", err)
	}
	return copied, nil
}

func (s *Store) copy(dir string) (store.Copied, error) {
	s.flushMu.Lock()
	defer s.flushMu.Unlock()
	if s.closed.Load() {
		return store.Copied{}, errClosed
	}
	if err := makeDir(s.fs, dir); err != nil {
		return store.Copied{}, err
	}
	img, err := s.freeze()
	if err != nil {
		return store.Copied{}, err
	}
	defer img.close()
	s.changedBytes.Add(img.changed) // the next Flush has as much to write as before
	if img.meta.Index == 0 {
		return store.Copied{}, errors.New("it is empty")
	}
	copied := store.Copied{Meta: img.meta, Own: make(map[string][]byte)}
	err = writeSnapshot(s.fs, dir, img.meta, img.keys, func(w *snapshotWriter) error {
		return s.writeImage(w, &img, func(space store.Space, key, value []byte) {
			if space == store.Own {
				copied.Own[string(key)] = append([]byte(nil), value...)
			}
		})
	})
	return copied, err
}
