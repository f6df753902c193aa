package memory

import (
	"bytes"
	"slices"
	"strings"

	"github.com/sheafdb/sheaf/internal/store"
)

// scanChunk is how many keys a cursor looks up under one hold of the lock.
const scanChunk = 256

// cursor walks the keys there were at its beginning and shows the values there
// are now, passing over the keys that are gone. It sorts copies of the keys:
// a key that is a view of its record would keep the record in memory.
type cursor struct {
	store *Store
	keys  []string // sorted, those still to look up
	// chunk holds the records looked up and not yet shown, the current one first.
	// Their bytes never change, so they stay valid without the lock.
	chunk []record
	buf   []record
	key   []byte
}

// Scan lists and sorts the keys that match. It takes the lock for a shard at a
// time: a key that is there from before the scan until after it is in the list.
func (s *Store) Scan(prefix, start []byte) (store.Cursor, store.Meta, error) {
	s.mu.RLock()
	meta := s.meta
	s.mu.RUnlock()
	first := string(prefix)
	if bytes.Compare(start, prefix) > 0 {
		first = string(start)
	}
	c := &cursor{store: s}
	var text []byte
	var ends []int
	for shard := range s.tables[0].shards() {
		text, ends = text[:0], ends[:0]
		s.mu.RLock()
		s.tables[tableIndex(store.Data)].walk(shard, func(r record) {
			if r.key >= first && strings.HasPrefix(r.key, string(prefix)) {
				text = append(text, r.key...)
				ends = append(ends, len(text))
			}
		})
		s.mu.RUnlock()
		c.keys = appendParts(c.keys, string(text), ends)
	}
	slices.Sort(c.keys)
	return c, meta, nil
}

// appendParts appends the parts of text that end at ends. They share its memory:
// one allocation a shard instead of one a key.
func appendParts(keys []string, text string, ends []int) []string {
	begin := 0
	for _, end := range ends {
		keys = append(keys, text[begin:end])
		begin = end
	}
	return keys
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
	clear(c.buf)
	c.buf = c.buf[:0]
	c.store.mu.RLock()
	t := c.store.tables[tableIndex(store.Data)]
	for _, key := range c.keys[:n] {
		c.key = append(c.key[:0], key...)
		if value, ok := t.get(c.key); ok {
			c.buf = append(c.buf, record{key, value})
		}
	}
	c.store.mu.RUnlock()
	c.keys = c.keys[n:]
	c.chunk = c.buf
}

func (c *cursor) Key() []byte   { return c.key }
func (c *cursor) Value() []byte { return c.chunk[0].value }
func (c *cursor) Err() error    { return nil }

func (c *cursor) Close() error {
	c.keys, c.chunk, c.buf = nil, nil, nil
	return nil
}
