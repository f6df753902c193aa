package memory

import (
	"fmt"

	"github.com/sheafdb/sheaf/internal/store"
)

// prepared is an op whose bytes are copied and whose shard is known.
type prepared struct {
	record
	space  store.Space
	remove bool
	shard  int
}

// maxPrepared is how much of prepared is kept for the next log entry.
const maxPrepared = 16 << 10

// Apply copies and hashes all of m first, then puts it into the tables under the
// lock: readers wait for the second part only.
func (s *Store) Apply(m *store.Mutations) error {
	if err := s.prepare(m); err != nil {
		return fmt.Errorf("apply log entry %d: %w", m.Meta.Index, err)
	}
	s.mu.Lock()
	for i := range s.prepared {
		s.change(&s.prepared[i])
	}
	s.meta = m.Meta
	s.mu.Unlock()
	// Drop the references: a removed key's record must not outlive it here.
	clear(s.prepared)
	if cap(s.prepared) > maxPrepared {
		s.prepared = nil
	}
	return nil
}

func (s *Store) prepare(m *store.Mutations) error {
	// Only Apply writes meta, and Apply is called by one goroutine.
	if m.Meta.Index <= s.meta.Index {
		return fmt.Errorf("entry %d is already applied", s.meta.Index)
	}
	s.prepared = s.prepared[:0]
	for i := range m.Ops {
		op := &m.Ops[i]
		p := prepared{space: op.Space, remove: op.Delete}
		switch op.Space {
		case store.Data, store.Rows:
			p.shard = s.tables[tableIndex(op.Space)].shardOf(op.Key)
		case store.Due:
		default:
			return fmt.Errorf("unknown space %d", op.Space)
		}
		switch {
		case op.Delete:
			p.key = string(op.Key)
		case op.Space == store.Due:
			p.key = string(op.Key) // Due holds no values
		default:
			p.record = newRecord(op.Key, op.Head, op.Value)
		}
		s.changedBytes.Add(recordBytes + int64(len(op.Key)+len(op.Head)+len(op.Value)))
		s.prepared = append(s.prepared, p)
	}
	return nil
}

// change puts one op into its table, under the lock.
func (s *Store) change(p *prepared) {
	if p.space == store.Due {
		if p.remove {
			s.due.Delete(p.key)
		} else {
			s.due.ReplaceOrInsert(p.key)
		}
		return
	}
	i := tableIndex(p.space)
	if s.before != nil {
		s.before.remember(s.tables[i], i, p.shard, p.key)
	}
	if p.remove {
		s.tables[i].remove(p.shard, p.key)
	} else {
		s.tables[i].put(p.shard, p.record)
	}
}
