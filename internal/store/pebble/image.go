package pebble

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/sheafdb/sheaf/internal/store"
)

// image is a store.Image: the runs there were and a Pebble snapshot below them, as in a
// view. The runs stay in memory, at most maxSealed+2 of them.
type image struct {
	store *Store
	set   *runSet // nil until it is taken
	snap  *pebble.Snapshot
	meta  store.Meta
}

var _ store.Image = (*image)(nil)

// Image waits for nothing.
func (s *Store) Image() (store.Image, error) { return &image{store: s}, nil }

func (m *image) Take() (taken store.Taken, err error) {
	if m.set != nil {
		return taken, errors.New("take image: it is taken")
	}
	m.set, m.meta, m.snap = m.store.stage.hold(m.store.db)
	taken = store.Taken{Meta: m.meta, Own: make(map[string][]byte)}
	err = m.each(store.Own, func(key, value []byte) error {
		taken.Own[string(key)] = append([]byte(nil), value...)
		return nil
	})
	if err == nil {
		err = m.each(store.Attempts, func(_, _ []byte) error {
			taken.Attempts++
			return nil
		})
	}
	return taken, err
}

// Park does nothing: the image is not in memory but for the runs.
func (m *image) Park(string) error { return nil }

// imageSpaces are all.
var imageSpaces = [...]store.Space{store.Data, store.Rows, store.Due, store.Attempts, store.Held, store.Own}

func (m *image) Walk(visit func(space store.Space, key, value []byte) error) error {
	if m.set == nil {
		return errors.New("walk image: it is not taken")
	}
	for _, space := range imageSpaces {
		err := m.each(space, func(key, value []byte) error { return visit(space, key, value) })
		if err != nil {
			return err
		}
	}
	return nil
}

// each visits the records of a space in the order of their keys.
func (m *image) each(space store.Space, visit func(key, value []byte) error) (err error) {
	c := &cursor{store: m.store, set: m.set, snap: m.snap}
	defer func() { err = errors.Join(err, c.end()) }()
	first := []byte{byte(space)}
	if err := c.begin(first, successor(first), m.meta.Index); err != nil {
		return err
	}
	for c.Next() {
		if err := visit(c.Key(), c.Value()); err != nil {
			return err
		}
	}
	return c.Err()
}

func (m *image) Close() error {
	if m.set == nil {
		return nil
	}
	err := m.snap.Close()
	m.store.stage.release(m.set)
	m.set = nil
	if err != nil {
		return fmt.Errorf("close image: %w", m.store.readError(err))
	}
	return nil
}
