package pebble

import (
	"fmt"
	"time"
	"unsafe"

	"github.com/sheafdb/sheaf/internal/store"
)

// maxHashes is how much of Apply's memory is kept for the next log entry.
const maxHashes = 1 << 17

// Apply writes m into the newest run and makes it visible at once. It waits when the
// stage is full, and a little before that. Key, head and value are copied.
func (s *Store) Apply(m *store.Mutations) error {
	if err := s.apply(m); err != nil {
		return fmt.Errorf("apply log entry %d: %w", m.Meta.Index, err)
	}
	return nil
}

func (s *Store) apply(m *store.Mutations) error {
	if m.Meta.Index <= s.applied {
		return fmt.Errorf("entry %d is already applied", s.applied)
	}
	size := 0
	s.hashes = s.hashes[:0]
	for i := range m.Ops {
		op := &m.Ops[i]
		if op.Space < store.Data || op.Space > store.Own {
			return fmt.Errorf("unknown space %d", op.Space)
		}
		size += recordBytes(op)
		s.hashes = append(s.hashes, hashOf(op.Space, op.Key))
	}
	if err := s.holdBack(size); err != nil {
		return err
	}
	r, err := s.claim(size)
	if err != nil {
		return err
	}
	defer s.writing.Unlock()
	r.write(m, s.hashes)
	s.due.note(m)
	s.stage.commit(m.Meta)
	s.applied = m.Meta.Index
	if cap(s.hashes) > maxHashes {
		s.hashes = nil
	}
	return nil
}

// minPace is the least that Apply sleeps: shorter waits are added up.
const minPace = time.Millisecond

// holdBack slows Apply down to the pace of the drains.
func (s *Store) holdBack(size int) error {
	if s.owed += s.stage.delay(size); s.owed < minPace {
		return nil
	}
	began := time.Now()
	select {
	case <-time.After(s.owed):
	case <-s.closing:
		return errClosed
	}
	s.owed -= time.Since(began)
	return nil
}

// claim waits for a run with room and locks it for writing.
func (s *Store) claim(size int) (*run, error) {
	for {
		s.writing.Lock()
		r, wait, err := s.stage.room(size)
		if r != nil {
			return r, nil
		}
		s.writing.Unlock()
		if err != nil {
			return nil, err
		}
		select {
		case <-wait:
		case <-s.closing:
			return nil, errClosed
		}
	}
}

// viewString is data as a string, without a copy: nobody changes data any more.
func viewString(data []byte) string { return unsafe.String(unsafe.SliceData(data), len(data)) }
