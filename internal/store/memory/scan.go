package memory

import (
	"bytes"
	"slices"

	"github.com/sheafdb/sheaf/internal/store"
)

// scanChunk is how many keys a cursor looks up under one hold of the lock.
const scanChunk = 256

// cursor walks the keys there were at its beginning and shows the values there
// are now, passing over the keys that are gone. It copies keys and values.
type cursor struct {
	store *Store
	keys  []string // sorted, those still to look up
	// chunk holds what was looked up and not yet shown, the current one first; the
	// values are in values.
	chunk  []found
	buf    []found
	values []byte
	key    []byte
}

// found is a key and where its value ends in the chunk's values.
type found struct {
	key        string
	begin, end int
}

// Scan lists and sorts the keys that match: a key that is there from before the scan
// until after it is in the list.
func (s *Store) Scan(prefix, start []byte) (store.Cursor, store.Meta, error) {
	first := prefix
	if bytes.Compare(start, prefix) > 0 {
		first = start
	}
	c := &cursor{store: s}
	var text []byte
	var ends []int
	s.mu.RLock()
	meta := s.meta
	s.mu.RUnlock()
	s.tables[tableIndex(store.Data)].keys(func(key []byte) {
		if bytes.HasPrefix(key, prefix) && bytes.Compare(key, first) >= 0 {
			text = append(text, key...)
			ends = append(ends, len(text))
		}
	})
	// The keys share one piece of memory: one allocation instead of one a key.
	all, begin := string(text), 0
	for _, end := range ends {
		c.keys = append(c.keys, all[begin:end])
		begin = end
	}
	slices.Sort(c.keys)
	return c, meta, nil
}

func (c *cursor) Next() bool {
	if len(c.chunk) > 0 {
		c.chunk = c.chunk[1:]
	}
	for len(c.chunk) == 0 {
		if len(c.keys) == 0 {
			return false
		}
		c.lookUp()
	}
	c.key = append(c.key[:0], c.chunk[0].key...)
	return true
}

func (c *cursor) lookUp() {
	n := min(scanChunk, len(c.keys))
	c.buf, c.values = c.buf[:0], c.values[:0]
	c.store.mu.RLock()
	t := c.store.tables[tableIndex(store.Data)]
	for _, key := range c.keys[:n] {
		c.key = append(c.key[:0], key...)
		if value, ok := t.get(c.key); ok {
			begin := len(c.values)
			c.values = append(c.values, value...)
			c.buf = append(c.buf, found{key, begin, len(c.values)})
		}
	}
	c.store.mu.RUnlock()
	c.keys = c.keys[n:]
	c.chunk = c.buf
}

func (c *cursor) Key() []byte { return c.key }

func (c *cursor) Value() []byte { return c.values[c.chunk[0].begin:c.chunk[0].end] }
func (c *cursor) Err() error    { return nil }

func (c *cursor) Close() error {
	c.keys, c.chunk, c.buf, c.values = nil, nil, nil, nil
	return nil
}
