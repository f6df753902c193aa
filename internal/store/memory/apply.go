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
	size, err := s.prepare(m)
	if err != nil {
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
	s.changedBytes.Add(size)
	s.mu.Unlock()
	s.forget()
	return nil
}

// prepare sorts the ops by space, without copying them, and returns about how much they
// add to a snapshot.
func (s *Store) prepare(m *store.Mutations) (size int64, err error) {
	// Only Apply writes meta, and Apply is called by one goroutine.
	if m.Meta.Index <= s.meta.Index {
		return 0, fmt.Errorf("entry %d is already applied", s.meta.Index)
	}
	for i := range m.Ops {
		op := &m.Ops[i]
		size += recordBytes + int64(len(op.Key)+len(op.Head)+len(op.Value))
		switch op.Space {
		case store.Data, store.Rows, store.Attempts, store.Held, store.Own:
			table := tableIndex(op.Space)
			s.batches[table] = append(s.batches[table],
				shardmap.BytesEntry{Key: op.Key, Prefix: op.Head, Value: op.Value, Delete: op.Delete})
		case store.Due:
			s.dueOps = append(s.dueOps, op)
		default:
			s.forget()
			return 0, fmt.Errorf("unknown space %d", op.Space)
		}
	}
	return size, nil
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
