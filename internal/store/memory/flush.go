package memory

import (
	"fmt"

	"github.com/google/btree"

	"github.com/sheafdb/sheaf/internal/store"
)

// before holds the values that keys had when a Flush began, of those changed
// since, so that the file is the state at that instant although Apply goes on:
//
//  1. Under the lock, for an instant: note the Meta, clone the B-tree (which
//     copies on write), set Store.before.
//  2. From then on Apply remembers a key's old value before it changes it the
//     first time, unless the key's shard is written already.
//  3. Shard by shard under RLock: list the records, a remembered value in place
//     of the current one, and those removed since; forget the shard's memories.
//     The records' bytes never change, so they are written without the lock.
//
// Its memory is bounded by the keys changed while a Flush runs.
type before struct {
	// changed has a map for each shard that is not written yet, nil when empty.
	changed [tableCount][]map[string]oldValue
	// written is how many shards are. Flush changes it under RLock, which keeps
	// out Apply, the only one else to look at it.
	written [tableCount]int
}

// oldValue is what a key had; present is false when it was not there.
type oldValue struct {
	value   []byte
	present bool
}

// remember is called under Lock before key changes. It keeps key.
func (b *before) remember(t table, i, shard int, key string) {
	if shard < b.written[i] {
		return
	}
	changed := b.changed[i][shard]
	if changed == nil {
		changed = make(map[string]oldValue)
		b.changed[i][shard] = changed
	}
	if _, ok := changed[key]; ok {
		return
	}
	value, present := t.get([]byte(key))
	changed[key] = oldValue{value, present}
}

// list appends the records that a shard had, under RLock, and forgets it.
func (b *before) list(dst []record, t table, i, shard int) []record {
	changed := b.changed[i][shard]
	t.walk(shard, func(r record) {
		if _, ok := changed[r.key]; !ok {
			dst = append(dst, r)
		}
	})
	for key, old := range changed {
		if old.present {
			dst = append(dst, record{key, old.value})
		}
	}
	b.changed[i][shard] = nil
	b.written[i] = shard + 1
	return dst
}

// Flush writes a snapshot of the state at the log entry applied last, and
// returns its index. After an error the older snapshot is still the newest.
func (s *Store) Flush() (uint64, error) {
	s.flushMu.Lock()
	defer s.flushMu.Unlock()
	if s.closed.Load() {
		return s.durable.Load(), fmt.Errorf("flush store: %w", errClosed)
	}
	meta, due := s.beginFlush()
	defer s.endFlush()
	if meta.Index == s.durable.Load() {
		return meta.Index, nil
	}
	changed := s.changedBytes.Swap(0)
	err := writeSnapshot(s.fs, s.dir, meta, func(w *snapshotWriter) error {
		return s.writeState(w, due)
	})
	if err != nil {
		s.changedBytes.Add(changed)
		return s.durable.Load(), fmt.Errorf("flush store: %w", err)
	}
	s.noteSnapshot(meta.Index)
	s.durable.Store(meta.Index)
	if err := removeOthers(s.fs, s.dir, meta.Index); err != nil {
		// The snapshot stands; the next Flush or Open removes the rest.
		s.logger.Warn("remove old snapshots", "err", err)
	}
	return meta.Index, nil
}

// recordBytes is what a snapshot adds to a record's bytes, rounded up.
const recordBytes = 16

// FlushBytes returns about how large the next snapshot will be; the one before
// is removed only when it is whole.
func (s *Store) FlushBytes() int64 { return s.snapshotBytes.Load() + s.changedBytes.Load() }

// noteSnapshot remembers the size of the snapshot of index.
func (s *Store) noteSnapshot(index uint64) {
	if info, err := s.fs.Stat(s.fs.PathJoin(s.dir, snapshotName(index))); err == nil {
		s.snapshotBytes.Store(info.Size())
	}
}

func (s *Store) beginFlush() (store.Meta, *btree.BTreeG[string]) {
	b := &before{}
	for i, t := range s.tables {
		b.changed[i] = make([]map[string]oldValue, t.shards())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before = b
	return s.meta, s.due.Clone()
}

func (s *Store) endFlush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before = nil
}

func (s *Store) writeState(w *snapshotWriter, due *btree.BTreeG[string]) error {
	var records []record
	for i, t := range s.tables {
		for shard := range t.shards() {
			if s.closed.Load() {
				return errClosed
			}
			s.mu.RLock()
			records = s.before.list(records[:0], t, i, shard)
			s.mu.RUnlock()
			for _, r := range records {
				if err := w.add(store.Data+store.Space(i), r.key, r.value); err != nil {
					return err
				}
			}
			clear(records)
		}
	}
	var err error
	due.Ascend(func(key string) bool {
		err = w.add(store.Due, key, nil)
		return err == nil
	})
	return err
}
