package pebble

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/sheafdb/sheaf/internal/store"
)

const (
	metaVersion = 2
	// metaBytes: the version (1 byte), then store.Meta.
	metaBytes = 1 + store.MetaBytes
)

// metaKey is the one key of space 0.
var metaKey = []byte{0}

func appendMeta(dst []byte, m store.Meta) []byte {
	return m.Append(append(dst, metaVersion))
}

func decodeMeta(data []byte) (m store.Meta, err error) {
	if len(data) == 0 || data[0] != metaVersion {
		return m, errors.New("Meta is of an unknown version")
	}
	if len(data) != metaBytes {
		return m, fmt.Errorf("Meta has %d bytes, not %d", len(data), metaBytes)
	}
	if m = store.DecodeMeta(data[1:]); m.Index == 0 {
		return store.Meta{}, errors.New("Meta of an applied log entry has index 0")
	}
	return m, nil
}

// readMeta returns the Meta that reader sees, all zero in an empty store.
func (s *Store) readMeta(reader pebble.Reader) (store.Meta, error) {
	data, closer, err := reader.Get(metaKey)
	if errors.Is(err, pebble.ErrNotFound) {
		return store.Meta{}, nil
	}
	if err != nil {
		return store.Meta{}, fmt.Errorf("read Meta: %w", s.readError(err))
	}
	m, err := decodeMeta(data)
	if err != nil {
		err = store.Corruptf(s.dir, "%v", err)
	}
	return m, errors.Join(err, closer.Close())
}
