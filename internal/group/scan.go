package group

import (
	"context"
	"fmt"
	"time"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/store"
	"github.com/sheafdb/sheaf/internal/wire"
)

// Scanner walks the live keys of a prefix in the order of their bytes. It is
// not safe for concurrent use and must be closed.
type Scanner struct {
	group  *Group
	cursor store.Cursor
	index  uint64
	nowMS  uint64
	item   sheaf.Item
	steps  int
	err    error
}

// maxScans bounds the scans that are open at a time: one may hold a copy of all keys, or
// runs of the pebble store that are drained long since.
const maxScans = 32

// Scan begins a scan of the newest state at the first key that has prefix and is not below
// start.
func (g *Group) Scan(ctx context.Context, prefix, start []byte) (*Scanner, error) {
	if err := g.Current(ctx); err != nil {
		return nil, err
	}
	if g.scans.Add(1) > maxScans {
		g.scans.Add(-1)
		return nil, &sheaf.Error{
			Code: sheaf.RateLimited, RetryAfter: time.Second,
			Detail: fmt.Sprintf("%d scans are open, the most: each keeps what it reads in memory", maxScans),
		}
	}
	scanner, err := g.scan(prefix, start)
	if err != nil {
		g.scans.Add(-1)
	}
	return scanner, err
}

func (g *Group) scan(prefix, start []byte) (*Scanner, error) {
	cursor, meta, err := g.store.Scan(prefix, start)
	if err != nil {
		return nil, readError(err)
	}
	return &Scanner{group: g, cursor: cursor, index: meta.Index, nowMS: g.timeOf(meta)}, nil
}

// Index is the log position at which the scan began: everything up to it is in
// the scan.
func (s *Scanner) Index() uint64 { return s.index }

// clockEvery is how many keys a scan passes before it looks at the group's clock
// again: a long scan must not return what expired after it began.
const clockEvery = 1024

// Next moves to the next live key; false at the end or on an error.
func (s *Scanner) Next() bool {
	for s.err == nil && s.cursor.Next() {
		if s.steps++; s.steps%clockEvery == 0 {
			s.nowMS = max(s.nowMS, s.group.timeNow())
		}
		record, err := wire.DecodeRecord(s.cursor.Value())
		if err != nil {
			s.err = readError(fmt.Errorf("%w: key %q: %w", store.ErrCorrupt, s.cursor.Key(), err))
			return false
		}
		if record.Live(s.nowMS) {
			s.item = sheaf.Item{
				Key: s.cursor.Key(), Value: record.Value, TypeURL: string(record.TypeURL),
				Version: record.Version, Found: true,
			}
			return true
		}
	}
	if err := s.cursor.Err(); s.err == nil && err != nil {
		s.err = readError(err)
	}
	return false
}

// Item is the key Next moved to. Its slices are valid until Next or Close.
func (s *Scanner) Item() sheaf.Item { return s.item }

// Err is the *sheaf.Error that ended the scan, or nil.
func (s *Scanner) Err() error { return s.err }

// Close releases the scan.
func (s *Scanner) Close() error {
	s.group.scans.Add(-1)
	return s.cursor.Close()
}
