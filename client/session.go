package client

import (
	"context"
	"iter"
	"sync/atomic"

	"github.com/sheafdb/sheaf"
)

// Session is a Client that remembers the largest version which its calls have seen, and passes
// it along. So a read shows the session's own writes, and nothing older of a key than what the
// session has shown of it before, whichever node answers. Because of that its reads are at
// SEQUENTIAL, which every node answers from its own state, unless [At] says otherwise; its writes
// are at LINEARIZABLE, as a Client's are, and have versions above all that the session has seen.
//
// What it does not promise: that a key is gone has no version, so one whose deletion the session
// has only read of, and not written, may be shown once more by a node that is behind. A write at
// EVENTUAL has no version until it is durable, and a read at EVENTUAL may be older than the session.
//
// A Session is safe for concurrent use: calls that begin after another has returned build on
// that. It costs nothing to make and needs no closing.
type Session struct {
	c    *Client
	seen atomic.Uint64
}

// Session begins a session that has seen nothing.
func (c *Client) Session() *Session { return &Session{c: c} }

// SessionFrom goes on with a session that has seen a version, of another process for example: it
// takes what [Session.Seen] has given there.
func (c *Client) SessionFrom(version uint64) *Session {
	s := c.Session()
	s.saw(version)
	return s
}

// Seen is the largest version that the session has seen; 0 is none.
func (s *Session) Seen() uint64 { return s.seen.Load() }

func (s *Session) saw(version uint64) {
	for {
		seen := s.seen.Load()
		if version <= seen || s.seen.CompareAndSwap(seen, version) {
			return
		}
	}
}

// upTo is the option that nothing older than the session is meant, or than the caller says
// himself with [After].
func (s *Session) upTo() CallOption {
	seen := s.Seen()
	return callOption(func(o *readOptions) { o.after = max(o.after, seen) })
}

func (s *Session) writing(opts []WriteOption) []WriteOption {
	return append(append(make([]WriteOption, 0, len(opts)+1), opts...), s.upTo())
}

func (s *Session) reading(opts []ReadOption) []ReadOption {
	with := append(make([]ReadOption, 0, len(opts)+2), At(sheaf.Sequential))
	return append(append(with, opts...), s.upTo())
}

// wrote takes the version of a write.
func (s *Session) wrote(result Result, err error) (Result, error) {
	s.saw(result.Version)
	return result, err
}

// PutAll is [Client.PutAll].
func (s *Session) PutAll(ctx context.Context, entries []sheaf.Entry, opts ...WriteOption) (Result, error) {
	return s.wrote(s.c.PutAll(ctx, entries, s.writing(opts)...))
}

// Put is [Client.Put].
func (s *Session) Put(ctx context.Context, key, value []byte, opts ...WriteOption) (Result, error) {
	return s.wrote(s.c.Put(ctx, key, value, s.writing(opts)...))
}

// Delete is [Client.Delete].
func (s *Session) Delete(ctx context.Context, key []byte, opts ...WriteOption) (Result, error) {
	return s.wrote(s.c.Delete(ctx, key, s.writing(opts)...))
}

// DeleteAll is [Client.DeleteAll].
func (s *Session) DeleteAll(ctx context.Context, keys [][]byte, opts ...WriteOption) (Result, error) {
	return s.wrote(s.c.DeleteAll(ctx, keys, s.writing(opts)...))
}

// OnConflict is [Client.OnConflict]. It reads what is current, at LINEARIZABLE.
func (s *Session) OnConflict(ctx context.Context, keys [][]byte, merge func(Values) ([]sheaf.Entry, error)) (Result, error) {
	return s.wrote(s.c.onConflict(ctx, keys, func(values Values) ([]sheaf.Entry, error) {
		s.read(values.Items)
		return merge(values)
	}, s.upTo))
}

// GetAll is [Client.GetAll], at SEQUENTIAL.
func (s *Session) GetAll(ctx context.Context, keys [][]byte, opts ...ReadOption) (Values, error) {
	values, err := s.c.GetAll(ctx, keys, s.reading(opts)...)
	s.read(values.Items)
	return values, err
}

// Get is [Client.Get], at SEQUENTIAL.
func (s *Session) Get(ctx context.Context, key []byte, opts ...ReadOption) (sheaf.Item, error) {
	item, err := s.c.Get(ctx, key, s.reading(opts)...)
	s.saw(item.Version)
	return item, err
}

// Scan is [Client.Scan], which is as new as its beginning and needs no version. What it yields
// counts as seen.
func (s *Session) Scan(ctx context.Context, o ScanOptions) iter.Seq2[sheaf.Item, error] {
	return func(yield func(sheaf.Item, error) bool) {
		for item, err := range s.c.Scan(ctx, o) {
			s.saw(item.Version)
			if !yield(item, err) {
				return
			}
		}
	}
}

// read takes the versions of items.
func (s *Session) read(items []sheaf.Item) {
	var largest uint64
	for i := range items {
		largest = max(largest, items[i].Version)
	}
	s.saw(largest)
}
