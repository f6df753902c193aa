package pebble

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/sheafdb/sheaf/internal/store"
)

// cursor walks a snapshot: what it returns is the state at the scan's Meta.
type cursor struct {
	store *Store
	snap  *pebble.Snapshot
	// iter is nil when no key can match.
	iter    *pebble.Iterator
	started bool
	value   []byte
	err     error
}

// Scan walks Data at one snapshot.
func (s *Store) Scan(prefix, start []byte) (store.Cursor, store.Meta, error) {
	snap := s.db.NewSnapshot()
	c := &cursor{store: s, snap: snap}
	meta, err := s.readMeta(snap)
	if err != nil {
		return nil, store.Meta{}, errors.Join(fmt.Errorf("scan keys: %w", err), snap.Close())
	}
	lower := spaceKey(store.Data, prefix)
	upper := successor(lower)
	if bytes.Compare(start, prefix) > 0 {
		lower = spaceKey(store.Data, start)
	}
	if bytes.Compare(lower, upper) >= 0 {
		return c, meta, nil
	}
	c.iter, err = snap.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return nil, store.Meta{}, errors.Join(fmt.Errorf("scan keys: %w", s.readError(err)), snap.Close())
	}
	return c, meta, nil
}

func spaceKey(space store.Space, key []byte) []byte {
	return append([]byte{byte(space)}, key...)
}

// successor returns the first key after all that begin with prefix. There is
// one, since prefix begins with a space's number, which is not 0xff.
func successor(prefix []byte) []byte {
	last := len(prefix) - 1
	for prefix[last] == 0xff {
		last--
	}
	next := bytes.Clone(prefix[:last+1])
	next[last]++
	return next
}

func (c *cursor) Next() bool {
	if c.iter == nil || c.err != nil {
		return false
	}
	var ok bool
	if c.started {
		ok = c.iter.Next()
	} else {
		c.started = true
		ok = c.iter.First()
	}
	var err error
	if ok {
		c.value, err = c.iter.ValueAndErr()
	} else {
		err = c.iter.Error()
	}
	if err != nil {
		c.err = fmt.Errorf("scan keys: %w", c.store.readError(err))
	}
	return ok && err == nil
}

func (c *cursor) Key() []byte   { return c.iter.Key()[1:] }
func (c *cursor) Value() []byte { return c.value }
func (c *cursor) Err() error    { return c.err }

// Close reports what failed in closing; what ended the walk is in Err.
func (c *cursor) Close() error {
	var iterErr error
	if c.iter != nil {
		// An iterator's Close repeats the error of the walk.
		if err := c.iter.Close(); c.err == nil {
			iterErr = err
		}
	}
	if err := errors.Join(iterErr, c.snap.Close()); err != nil {
		return fmt.Errorf("close scan: %w", c.store.readError(err))
	}
	return nil
}
