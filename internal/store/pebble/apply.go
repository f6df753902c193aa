package pebble

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/sheafdb/sheaf/internal/store"
)

const (
	// batchBytes is the write batch's first size: a log entry of a few thousand
	// small keys needs no growing.
	batchBytes = 1 << 20
	// batchRetainedBytes is the largest write batch kept for the next log entry.
	batchRetainedBytes = 8 << 20
	// opBytes bounds what a write batch adds to a key and a value: the kind, two
	// lengths, the space.
	opBytes = 1 + 5 + 5 + 1
	// headerBytes is the header of a write batch.
	headerBytes = 12
)

// Apply writes m as one Pebble write batch, to the memtable and no log.
//
// Key, head and value are copied once, from m into the write batch; Pebble
// copies them a second time, into its memtable.
func (s *Store) Apply(m *store.Mutations) error {
	index := m.Meta.Index
	if index <= s.applied {
		return fmt.Errorf("apply log entry %d: entry %d is already applied", index, s.applied)
	}
	size := headerBytes + opBytes + metaBytes
	for i := range m.Ops {
		op := &m.Ops[i]
		if op.Space < store.Data || op.Space > store.Due {
			return fmt.Errorf("apply log entry %d: unknown space %d", index, op.Space)
		}
		size += opBytes + len(op.Key) + len(op.Head) + len(op.Value)
	}
	batch := s.batch
	if size > batchRetainedBytes {
		// One allocation of the right size instead of doubling up to it.
		batch = s.db.NewBatchWithSize(size)
		defer batch.Close()
	} else {
		// Not after the commit, where it would hold up the answer.
		batch.Reset()
	}
	if err := fill(batch, m); err != nil {
		return fmt.Errorf("apply log entry %d: %w", index, err)
	}
	if err := batch.Set(metaKey, appendMeta(s.meta[:0], m.Meta), nil); err != nil {
		return fmt.Errorf("apply log entry %d: %w", index, err)
	}
	s.due.note(m)
	if err := batch.Commit(pebble.NoSync); err != nil {
		return fmt.Errorf("apply log entry %d: %w", index, s.readError(err))
	}
	s.applied = index
	return nil
}

// fill copies the ops into the write batch. SetDeferred hands out the write
// batch's own memory, which is what saves a copy of head and value put together.
func fill(batch *pebble.Batch, m *store.Mutations) error {
	for i := range m.Ops {
		op := &m.Ops[i]
		var slot *pebble.DeferredBatchOp
		if op.Delete {
			slot = batch.DeleteDeferred(1 + len(op.Key))
		} else {
			slot = batch.SetDeferred(1+len(op.Key), len(op.Head)+len(op.Value))
			copy(slot.Value[copy(slot.Value, op.Head):], op.Value)
		}
		slot.Key[0] = byte(op.Space)
		copy(slot.Key[1:], op.Key)
		if err := slot.Finish(); err != nil {
			return err
		}
	}
	return nil
}
