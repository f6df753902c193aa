package pebble

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/sheafdb/sheaf/internal/store"
)

// cursor walks the runs and the Pebble snapshot of one instant together.
type cursor struct {
	store *Store
	set   *runSet
	snap  *pebble.Snapshot
	// iter is nil when no key can match.
	iter *pebble.Iterator
	// below says that iter stands on a key that was not shown yet.
	below bool
	// staged are the keys of the runs, in order, that were not passed yet.
	staged []record

	key, value []byte
	started    bool
	stepBelow  bool // iter is to move before the next look
	err        error
}

// Scan walks Data as of one instant. It sorts the keys of the runs that match first,
// and holds the runs until Close.
func (s *Store) Scan(prefix, start []byte) (store.Cursor, store.Meta, error) {
	set, meta, snap := s.stage.hold(s.db)
	c := &cursor{store: s, set: set, snap: snap}
	lower := spaceKey(store.Data, prefix)
	upper := successor(lower)
	if bytes.Compare(start, prefix) > 0 {
		lower = spaceKey(store.Data, start)
	}
	if err := c.begin(lower, upper, meta.Index); err != nil {
		return nil, store.Meta{}, errors.Join(err, c.Close())
	}
	return c, meta, nil
}

// begin has the cursor walk from lower up to upper, which have their space before them.
func (c *cursor) begin(lower, upper []byte, index uint64) (err error) {
	if bytes.Compare(lower, upper) >= 0 {
		return nil
	}
	c.iter, err = c.snap.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return fmt.Errorf("scan keys: %w", c.store.readError(err))
	}
	c.staged = c.set.sorted(store.Space(lower[0]), lower[1:], upper, index)
	return nil
}

// sorted returns, in the order of their keys, the records of a space as of a log entry
// from lower up to upper (which has its space before it): of each key the youngest.
func (set *runSet) sorted(space store.Space, lower, upper []byte, index uint64) []record {
	type aged struct {
		record
		run int // the youngest is 0
	}
	var found []aged
	for n, r := range set.runs {
		r.each(func(rec record) {
			if rec.space() != space || bytes.Compare(rec.key(), lower) < 0 || !below(space, rec.key(), upper) {
				return
			}
			if rec, ok := r.asOf(rec, index); ok {
				found = append(found, aged{rec, n})
			}
		})
	}
	slices.SortFunc(found, func(a, b aged) int {
		return cmp.Or(bytes.Compare(a.key(), b.key()), cmp.Compare(a.run, b.run))
	})
	found = slices.CompactFunc(found, func(a, b aged) bool { return bytes.Equal(a.key(), b.key()) })
	records := make([]record, len(found))
	for i := range found {
		records[i] = found[i].record
	}
	return records
}

// below compares a key of a space with a bound on disk.
func below(space store.Space, key, upper []byte) bool {
	return upper[0] > byte(space) || bytes.Compare(key, upper[1:]) < 0
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

// Next shows the lower of the two next keys; of equal ones the run's, which is younger.
func (c *cursor) Next() bool {
	for c.iter != nil && c.err == nil {
		if !c.moveBelow() {
			return false
		}
		if len(c.staged) == 0 {
			if !c.below {
				return false
			}
			return c.showBelow()
		}
		rec := c.staged[0]
		order := -1
		if c.below {
			order = bytes.Compare(rec.key(), c.iter.Key()[1:])
		}
		if order > 0 {
			return c.showBelow()
		}
		c.staged = c.staged[1:]
		c.stepBelow = order == 0
		if !rec.deletes() {
			c.key, c.value = rec.key(), rec.value()
			return true
		}
	}
	return false
}

// moveBelow moves Pebble's iterator if what it stands on was shown or replaced.
func (c *cursor) moveBelow() bool {
	switch {
	case !c.started:
		c.started = true
		c.below = c.iter.First()
	case c.stepBelow && c.below:
		c.below = c.iter.Next()
	}
	c.stepBelow = false
	if !c.below {
		if err := c.iter.Error(); err != nil {
			c.err = fmt.Errorf("scan keys: %w", c.store.readError(err))
			return false
		}
	}
	return true
}

func (c *cursor) showBelow() bool {
	value, err := c.iter.ValueAndErr()
	if err != nil {
		c.err = fmt.Errorf("scan keys: %w", c.store.readError(err))
		return false
	}
	c.key, c.value, c.stepBelow = c.iter.Key()[1:], value, true
	return true
}

func (c *cursor) Key() []byte   { return c.key }
func (c *cursor) Value() []byte { return c.value }
func (c *cursor) Err() error    { return c.err }

// end lets go of Pebble's iterator.
func (c *cursor) end() (err error) {
	if c.iter != nil {
		// An iterator's Close repeats the error of the walk.
		if closeErr := c.iter.Close(); c.err == nil {
			err = closeErr
		}
		c.iter = nil
	}
	return err
}

// Close reports what failed in closing; what ended the walk is in Err.
func (c *cursor) Close() error {
	err := errors.Join(c.end(), c.snap.Close())
	c.store.stage.release(c.set)
	if err != nil {
		return fmt.Errorf("close scan: %w", c.store.readError(err))
	}
	return nil
}
