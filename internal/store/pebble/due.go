package pebble

import (
	"bytes"
	"sync"

	"github.com/sheafdb/sheaf/internal/store"
)

// dueBounds remembers, per first byte of space Due, a key below which the queue
// is empty. A queue is emptied at its front, and until a compaction drops them
// the tombstones of what was there stand in the way of every look at it.
type dueBounds struct {
	mu sync.Mutex
	// applied is the index of the last log entry whose ops were noted. Every
	// bound holds for the state at applied, and for no older one.
	applied uint64
	lower   map[byte][]byte
}

// note lowers the bounds to what m adds. It is called before m can be seen.
func (b *dueBounds) note(m *store.Mutations) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.applied = m.Meta.Index
	for i := range m.Ops {
		op := &m.Ops[i]
		if op.Space != store.Due || op.Delete || len(op.Key) == 0 {
			continue
		}
		if bound, ok := b.lower[op.Key[0]]; ok && bytes.Compare(op.Key, bound) < 0 {
			b.lower[op.Key[0]] = append(bound[:0], op.Key...)
		}
	}
}

// from returns where a view at index may begin to look at the keys with prefix.
func (b *dueBounds) from(index uint64, prefix []byte) []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	if index == b.applied && len(prefix) > 0 {
		if bound, ok := b.lower[prefix[0]]; ok && bytes.HasPrefix(bound, prefix) {
			return append([]byte(nil), bound...)
		}
	}
	return prefix
}

// found raises the bound to first, the first key that a view at index saw of
// all that begin with its first byte. It does nothing if a log entry has been
// applied since, which may have added a lower key.
func (b *dueBounds) found(index uint64, first []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if index != b.applied {
		return
	}
	if b.lower == nil {
		b.lower = make(map[byte][]byte)
	}
	b.lower[first[0]] = append(b.lower[first[0]][:0], first...)
}
