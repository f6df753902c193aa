package shardmap

// A snapshot is the map as of one instant, while writers go on. It copies nothing when it
// is taken:
//
//  1. At the first touch of a shard after the snapshot began, by a writer or by the walk,
//     the shard notes how much of each chunk is used. The records below are old, the
//     snapshot's; later ones are added above. Nothing has changed in between, so it is
//     the state at the beginning.
//  2. Until a chunk was listed, its old records are not overwritten in place; one that
//     dies is put on a list as well. No chunk is taken back until the shard was listed.
//  3. The walk copies chunk after chunk under the lock, up to the mark, and leaves out
//     what is dead there; what died since the beginning is on the list, and comes last.
//
// So a shard is locked for one copy of at most 256 KiB (or one larger record) at a time.

// Snapshot is the map as of one instant. It belongs to one goroutine and must be closed:
// until then the space of records that die is not taken back in shards not yet walked.
type Snapshot struct {
	m      *Bytes
	number uint64
	buf    []byte
}

// Snapshot returns the map as of this instant. It waits for batches that are being
// written. There can be one at a time: ok is false while another is open.
func (m *Bytes) Snapshot() (s *Snapshot, ok bool) {
	m.batches.writers.Lock()
	defer m.batches.writers.Unlock()
	if m.snapshot.Load() != 0 {
		return nil, false
	}
	m.taken++
	m.snapshot.Store(m.taken)
	return &Snapshot{m: m, number: m.taken}, true
}

// Close ends the snapshot.
func (s *Snapshot) Close() { s.m.snapshot.CompareAndSwap(s.number, 0) }

// Shards is how many parts the snapshot has.
func (s *Snapshot) Shards() int { return len(s.m.shards) }

// Range calls visit with every key and value of one part, in no order. They are valid
// during the call, in which the map may be written. A part can be walked once. Range
// stops at the first error and returns it.
func (s *Snapshot) Range(part int, visit func(key, value []byte) error) error {
	sh := &s.m.shards[part]
	for {
		listed, retained := s.list(sh)
		for rest := s.buf; len(rest) > 0; {
			rec := record(rest)
			if retained || !rec.dead() {
				if err := visit(rec.key(), rec.value()); err != nil {
					return err
				}
			}
			rest = rest[rec.size():]
		}
		if listed {
			return nil
		}
	}
}

// list copies the next piece of a shard into s.buf. listed says that it was the last.
func (s *Snapshot) list(sh *shard) (listed, retained bool) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	a := &sh.arena
	a.join(s.number)
	s.buf = s.buf[:0]
	for ; a.cursor < len(a.chunks) && len(s.buf) == 0; a.cursor++ {
		c := &a.chunks[a.cursor]
		begin := 0
		if a.cursor == 0 {
			begin = recordAlign
		}
		if c.old > begin {
			s.buf = append(s.buf, c.data[begin:c.old]...)
		}
	}
	if len(s.buf) > 0 {
		return false, false
	}
	for len(a.retained) > 0 && len(s.buf) < maxChunkBytes {
		last := len(a.retained) - 1
		rec := a.at(a.retained[last])
		s.buf = append(s.buf, rec[:rec.size()]...)
		a.retained = a.retained[:last]
	}
	if len(a.retained) == 0 {
		a.finished, a.retained = true, nil
	}
	return a.finished, true
}

// join makes the arena part of the snapshot with this number, once; 0 is none.
func (a *arena) join(number uint64) {
	if number == a.joined {
		return
	}
	a.joined, a.finished, a.cursor, a.retained = number, number == 0, 0, nil
	if number == 0 {
		return
	}
	for n := range a.chunks {
		a.chunks[n].old = a.chunks[n].used
	}
}

// pending says that a snapshot has not walked all of the arena.
func (a *arena) pending() bool { return a.joined != 0 && !a.finished }

// keeps says that a snapshot still needs a record as it is.
func (a *arena) keeps(address uint32) bool {
	n := int(address >> offsetBits)
	return a.pending() && n >= a.cursor && int(address&offsetMask)*recordAlign < a.chunks[n].old
}
