package memory

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/sheafdb/sheaf/internal/store"
)

// still is a store.Image: an image that is taken, and then a snapshot file of its own. Until
// then it holds flushMu, for a table has one image at a time, and what is overwritten
// meanwhile stays in memory.
type still struct {
	store   *Store
	img     image
	taken   bool
	holds   bool   // flushMu
	parkDir string // of the snapshot, once it is parked
}

var _ store.Image = (*still)(nil)

// Image waits for a Flush or a Copy that is at work.
func (s *Store) Image() (store.Image, error) {
	s.flushMu.Lock()
	if s.closed.Load() {
		s.flushMu.Unlock()
		return nil, fmt.Errorf("open image: %w", errClosed)
	}
	return &still{store: s, holds: true}, nil
}

func (m *still) Take() (taken store.Taken, err error) {
	s := m.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if m.taken {
		return taken, errors.New("take image: it is taken")
	}
	if m.img, err = s.freezeLocked(); err != nil {
		return taken, fmt.Errorf("take image: %w", err)
	}
	m.taken = true
	s.changedBytes.Add(m.img.changed) // the next Flush has as much to write as before
	taken = store.Taken{Meta: m.img.meta, Own: make(map[string][]byte), Attempts: s.tables[tableIndex(store.Attempts)].len()}
	own := s.tables[tableIndex(store.Own)]
	own.keys(func(key []byte) { taken.Own[string(key)] = nil })
	for key := range taken.Own {
		value, _ := own.get([]byte(key))
		taken.Own[key] = bytes.Clone(value)
	}
	return taken, nil
}

func (m *still) Park(dir string) error {
	if !m.taken || !m.holds {
		return errors.New("park image: it is not taken, or parked")
	}
	s := m.store
	err := makeDir(s.fs, dir)
	if err == nil {
		err = writeSnapshot(s.fs, dir, m.img.meta, m.img.keys, func(w *snapshotWriter) error {
			return s.writeImage(w, &m.img, nil)
		})
	}
	if err != nil {
		return fmt.Errorf("park image: %w", err)
	}
	m.parkDir = dir
	m.release()
	return nil
}

func (m *still) Walk(visit func(space store.Space, key, value []byte) error) error {
	switch {
	case !m.taken:
		return errors.New("walk image: it is not taken")
	case m.parkDir != "":
		return walkSnapshot(m.store.fs, m.store.fs.PathJoin(m.parkDir, snapshotName(m.img.meta.Index)), visit)
	}
	return m.store.walk(&m.img, visit)
}

func (m *still) release() {
	if !m.holds {
		return
	}
	m.holds = false
	if m.taken {
		m.img.close()
	}
	m.store.flushMu.Unlock()
}

func (m *still) Close() error {
	m.release()
	return nil
}

// walkSnapshot visits the records of a snapshot file.
func walkSnapshot(fs vfs.FS, path string, visit func(space store.Space, key, value []byte) error) (err error) {
	file, err := fs.Open(path, vfs.SequentialReadsOption)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	r := &snapshotReader{file: file, path: path, size: info.Size()}
	if _, _, err := r.preamble(); err != nil {
		return err
	}
	for count := uint64(0); ; {
		begin := r.offset
		kind, payload, err := r.block()
		switch {
		case err != nil:
			return err
		case kind == kindEnd:
			return r.end(payload, r.offset, count)
		case kind != kindRecords:
			return r.corrupt("offset %d: block of kind %d", begin, kind)
		}
		for len(payload) > 0 {
			space, key, value, rest, err := store.CutRecord(payload)
			if err != nil {
				return r.corrupt("offset %d: %v", begin, err)
			}
			if err := visit(space, key, value); err != nil {
				return err
			}
			payload = rest
			count++
		}
	}
}
