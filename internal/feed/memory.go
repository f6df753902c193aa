package feed

import (
	"sync"
	"sync/atomic"

	"github.com/sheafdb/sheaf/internal/wire"
)

// memory keeps entries outside the garbage collector's heap where the system allows that: what is kept
// for watches lives long and has no pointers, and in the heap it would let that grow to twice as much.
type memory struct {
	// pieceBytes is the size of a piece. Larger entries have one of their own, which is not used
	// again.
	pieceBytes int

	mu      sync.Mutex
	current *piece // is filled; nil before the first
	free    []*piece
	ended   bool
}

// piece is memory that several events share, one after the other.
type piece struct {
	m    *memory
	data []byte
	used int // of the current one
	// refs counts the events in it, their readers, and one while it is the current.
	refs atomic.Int64
}

const (
	// A piece is a sixteenth of what is kept, within these bounds.
	leastPieceBytes = 64 << 10
	mostPieceBytes  = 4 << 20
	// maxFree bounds the pieces that wait to be used again.
	maxFree = 4
)

// keep copies entries and returns the copy, with a reference for the caller to the piece it is in.
func (m *memory) keep(entries wire.Entries) (wire.Entries, *piece) {
	n := len(entries.Raw())
	p, into := m.room(n)
	copy(into, entries.Raw())
	return entries.EndOf(into), p
}

// room returns n bytes of a piece, with a reference.
func (m *memory) room(n int) (*piece, []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n > m.pieceBytes/4 {
		p := &piece{m: m, data: mapBytes(n)}
		p.refs.Store(1)
		return p, p.data
	}
	if m.current == nil || len(m.current.data)-m.current.used < n {
		if m.current != nil {
			m.current.unrefLocked()
		}
		m.current = m.next()
	}
	p := m.current
	p.refs.Add(1)
	into := p.data[p.used : p.used+n : p.used+n]
	p.used += n
	return p, into
}

// next is a piece that is empty. The caller holds mu.
func (m *memory) next() *piece {
	var p *piece
	if last := len(m.free) - 1; last >= 0 {
		p = m.free[last]
		m.free = m.free[:last]
	} else {
		p = &piece{m: m, data: mapBytes(m.pieceBytes)}
	}
	p.used = 0
	p.refs.Store(1)
	return p
}

// hold adds a reference; nil stands for no entries.
func (p *piece) hold() {
	if p != nil {
		p.refs.Add(1)
	}
}

// release gives a reference back.
func (p *piece) release() {
	if p != nil && p.refs.Add(-1) == 0 {
		p.m.mu.Lock()
		defer p.m.mu.Unlock()
		p.giveBack()
	}
}

func (p *piece) unrefLocked() {
	if p.refs.Add(-1) == 0 {
		p.giveBack()
	}
}

// giveBack takes in a piece that nobody refers to. The caller holds mu.
func (p *piece) giveBack() {
	if len(p.data) == p.m.pieceBytes && !p.m.ended && len(p.m.free) < maxFree {
		p.m.free = append(p.m.free, p)
		return
	}
	unmapBytes(p.data)
	p.data = nil
}

// end gives all memory back to the system, as soon as nobody refers to it.
func (m *memory) end() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ended = true
	if m.current != nil {
		m.current.unrefLocked()
		m.current = nil
	}
	for _, p := range m.free {
		unmapBytes(p.data)
	}
	m.free = nil
}
