package pebble

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/sheafdb/sheaf/internal/store"
)

// Copy flushes and makes a checkpoint, whose files are links to the store's as far as they
// are never changed. Without its log Pebble's checkpoint leaves out the memtable, so it is
// what is on disk: the state after some log entry, whole.
func (s *Store) Copy(dir string) (store.Copied, error) {
	copied, err := s.copy(dir)
	if err != nil {
		return store.Copied{}, fmt.Errorf("copy store: %w", s.readError(err))
	}
	return copied, nil
}

func (s *Store) copy(dir string) (_ store.Copied, err error) {
	if _, err := s.Flush(); err != nil {
		return store.Copied{}, err
	}
	if err := s.db.Checkpoint(dir); err != nil {
		return store.Copied{}, err
	}
	db, err := pebble.Open(dir, &pebble.Options{FS: s.fs, ReadOnly: true, DisableWAL: true, Logger: logger{s}})
	if err != nil {
		return store.Copied{}, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	meta, err := s.readMeta(db)
	if err != nil {
		return store.Copied{}, err
	}
	if meta.Index == 0 {
		return store.Copied{}, errors.New("it is empty")
	}
	own, err := readOwn(db)
	if err != nil {
		return store.Copied{}, err
	}
	return store.Copied{Meta: meta, Own: own}, writeMark(s.fs, dir, meta.Index)
}

// readOwn returns all of the space Own.
func readOwn(reader pebble.Reader) (_ map[string][]byte, err error) {
	iter, err := reader.NewIter(&pebble.IterOptions{
		LowerBound: []byte{byte(store.Own)}, UpperBound: []byte{byte(store.Own) + 1},
	})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, iter.Close()) }()
	own := make(map[string][]byte)
	for iter.First(); iter.Valid(); iter.Next() {
		value, err := iter.ValueAndErr()
		if err != nil {
			return nil, err
		}
		own[string(iter.Key()[1:])] = append([]byte(nil), value...)
	}
	return own, nil
}
