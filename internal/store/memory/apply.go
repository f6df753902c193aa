package memory

import (
	"fmt"

	"github.com/sheafdb/sheaf/internal/store"
	"github.com/sheafdb/sheaf/shardmap"
)

// maxKept is how many entries of Apply's memory are kept for the next log entry.
const maxKept = 16 << 10

// Apply puts m into the tables under the lock, as a batch a table.
func (s *Store) Apply(m *store.Mutations) error {
	if err := s.prepare(m); err != nil {
		return fmt.Errorf("apply log entry %d: %w", m.Meta.Index, err)
	}
	s.mu.Lock()
	for i := range s.batches {
		s.tables[i].write(s.batches[i])
	}
	for _, op := range s.dueOps {
		if op.Delete {
			s.due.Delete(string(op.Key))
		} else {
			s.due.ReplaceOrInsert(string(op.Key))
		}
	}
	s.meta = m.Meta
	s.mu.Unlock()
	s.forget()
	return nil
}

// prepare sorts the ops by space, without copying them.
func (s *Store) prepare(m *store.Mutations) error {
	// Only Apply writes meta, and Apply is called by one goroutine.
	if m.Meta.Index <= s.meta.Index {
		return fmt.Errorf("entry %d is already applied", s.meta.Index)
	}
	size := int64(0)
	for i := range m.Ops {
		op := &m.Ops[i]
		size += recordBytes + int64(len(op.Key)+len(op.Head)+len(op.Value))
		switch op.Space {
		case store.Data, store.Rows:
			table := tableIndex(op.Space)
			s.batches[table] = append(s.batches[table],
				shardmap.BytesEntry{Key: op.Key, Prefix: op.Head, Value: op.Value, Delete: op.Delete})
		case store.Due:
			s.dueOps = append(s.dueOps, op)
		default:
			s.forget()
			return fmt.Errorf("unknown space %d", op.Space)
		}
	}
	s.changedBytes.Add(size)
	return nil
}

// forget drops the references to a log entry: its bytes must not outlive it here.
func (s *Store) forget() {
	for i := range s.batches {
		clear(s.batches[i])
		s.batches[i] = s.batches[i][:0]
		if cap(s.batches[i]) > maxKept {
			s.batches[i] = nil
		}
	}
	clear(s.dueOps)
	s.dueOps = s.dueOps[:0]
}
