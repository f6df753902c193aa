package coordinator

import (
	"context"
	"hash/maphash"
	"sync"

	"github.com/sheafdb/sheaf/internal/wire"
)

// line makes batches of this node that write the same keys in several groups wait for each
// other here, in the order in which they came. Without it they would meet as intents in the
// groups, and let go, ask home and try again, each a round with a log. It is only to save
// that: batches of other nodes still meet there.
//
// Who joins gets behind the last of each of its keys, all in one step, so nobody waits in a
// circle.
type line struct {
	mu sync.Mutex
	// last is who came last, by the hash of a key. Two keys of one hash wait for each other
	// without need.
	last map[uint64]*place
	seed maphash.Seed
}

// place is one batch's in the line.
type place struct {
	line   *line
	hashes []uint64
	ahead  []*place
	gone   chan struct{} // closed when who is behind may go on
}

func newLine() *line { return &line{last: make(map[uint64]*place), seed: maphash.MakeSeed()} }

// join takes a place, which must be left.
func (l *line) join(entries wire.Entries) *place {
	p := &place{line: l, hashes: make([]uint64, 0, entries.Len()), gone: make(chan struct{})}
	for _, entry := range entries.All() {
		p.hashes = append(p.hashes, maphash.Bytes(l.seed, entry.Key))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	seen := make(map[*place]bool)
	for _, hash := range p.hashes {
		if before := l.last[hash]; before != nil && before != p && !seen[before] {
			seen[before] = true
			p.ahead = append(p.ahead, before)
		}
		l.last[hash] = p
	}
	return p
}

// wait returns when nobody is ahead, or ctx ends.
func (p *place) wait(ctx context.Context) error {
	for _, before := range p.ahead {
		select {
		case <-before.gone:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// leave lets those behind go on, as soon as those ahead have: one that gave up waiting stands
// between them.
func (p *place) leave() {
	for _, before := range p.ahead {
		<-before.gone
	}
	p.line.mu.Lock()
	for _, hash := range p.hashes {
		if p.line.last[hash] == p {
			delete(p.line.last, hash)
		}
	}
	p.line.mu.Unlock()
	close(p.gone)
}
