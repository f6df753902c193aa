package feed

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/sheafdb/sheaf"
)

// Reader walks the events from a place on. It belongs to one goroutine, and must be closed.
type Reader struct {
	f *Feed
	// at is the number of the next event; token says what the reader has seen.
	at    uint64
	token Token
	// readUntil is the number of the first event of which nothing is in the reader's scan, once
	// that is known; 0 before.
	readUntil uint64
	signal    chan struct{} // has room for one
	waits     bool          // in f.waiting
}

// maxReaders bounds the readers of a node.
const maxReaders = 1000

// Now returns a reader of what is committed from now on.
func (f *Feed) Now() (*Reader, error) {
	return f.open(func(r *Reader) *sheaf.Error {
		r.at = f.first + uint64(f.events.count)
		r.pass()
		return nil
	})
}

// Oldest returns a reader of all that is kept.
func (f *Feed) Oldest() (*Reader, error) {
	return f.open(func(r *Reader) *sheaf.Error {
		r.at, r.token.Seen = f.first, f.bases()
		return nil
	})
}

// From returns a reader of what a token has not seen. Before it is called every group of this node
// must have all that was committed when the token came in: one that says more is of other data.
// The error is COMPACTED when something that it has not seen is not kept.
func (f *Feed) From(text string) (*Reader, error) {
	token, ours, err := decode(text, f.cfg.Tag, len(f.lanes))
	if err != nil {
		return nil, sheaf.Invalid("token", "%s", err)
	}
	return f.open(func(r *Reader) *sheaf.Error {
		if !ours {
			return f.compacted("the token is of other data: of another cluster, or of this one before a backup was restored or nodes were added to the first")
		}
		r.at, r.token = f.first, token
		for i, lane := range f.lanes {
			if token.Seen[i].Index > lane.arrived {
				return f.compacted("the token is of a log that is not this one: data was lost or replaced since it was given")
			}
		}
		if r.behind() {
			return f.compacted("the token is older than what is kept")
		}
		return nil
	})
}

func (f *Feed) open(start func(*Reader) *sheaf.Error) (*Reader, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = true // also when there is nothing for this one: it comes again
	switch {
	case f.closed != nil:
		return nil, f.closed
	case f.readers >= maxReaders:
		return nil, &sheaf.Error{
			Code: sheaf.RateLimited, RetryAfter: time.Second,
			Detail: fmt.Sprintf("%d watches are open on this node, the most: use another node", maxReaders),
		}
	}
	r := &Reader{f: f, token: Token{Seen: make([]Place, len(f.lanes))}, signal: make(chan struct{}, 1)}
	if err := start(r); err != nil {
		return nil, err
	}
	f.readers++
	return r, nil
}

// compacted is the error of a reader that would miss something. The caller holds mu.
func (f *Feed) compacted(detail string) *sheaf.Error {
	return &sheaf.Error{
		Code: sheaf.Compacted, Detail: detail,
		Token: Token{Seen: f.bases()}.encode(f.cfg.Tag),
	}
}

// Close ends the reader.
func (r *Reader) Close() {
	r.f.mu.Lock()
	defer r.f.mu.Unlock()
	r.f.readers--
	r.f.waiting = slices.DeleteFunc(r.f.waiting, func(other *Reader) bool { return other == r })
}

// Token says what the reader has seen. Given to From, on any node, it goes on from there.
func (r *Reader) Token() string { return r.token.encode(r.f.cfg.Tag) }

// Next returns the next event, which the caller must Release. It waits until there is one; ok is
// false when enough came first.
func (r *Reader) Next(ctx context.Context, enough <-chan time.Time) (e Event, ok bool, err error) {
	for {
		found, more, refused := r.look(&e)
		switch {
		case refused != nil:
			return Event{}, false, refused
		case found:
			return e, true, nil
		case more:
			continue
		}
		select {
		case <-r.signal:
		case <-enough:
			return Event{}, false, nil
		case <-ctx.Done():
			return Event{}, false, ctx.Err()
		}
	}
}

// lookMost bounds the events that are passed over while appliers wait for mu.
const lookMost = 4096

// look takes the next event that the reader has not seen. more says that there may be one behind
// those that it passed; otherwise the reader is told when there is.
func (r *Reader) look(out *Event) (found, more bool, refused *sheaf.Error) {
	f := r.f
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed != nil {
		return false, false, f.closed
	}
	if r.token.Read != nil && !r.canTellWhatWasRead() {
		r.wait()
		f.catching = true
		return false, false, nil
	}
	for range lookMost {
		if r.at < f.first {
			if r.behind() {
				return false, false, f.compacted("the reader was slower than the writers for too long: what it has not seen is not kept any more")
			}
			r.at = f.first
		}
		if r.at == f.first+uint64(f.events.count) {
			r.pass()
			r.wait()
			return false, false, nil
		}
		e := f.events.at(int(r.at - f.first))
		r.at++
		seen := &r.token.Seen[e.Group-1]
		if !seen.before(e.Place) {
			continue
		}
		if e.Version == lost {
			return false, false, f.compacted("events were skipped when this node took over the state of another")
		}
		*seen = e.Place
		if *out = *e; r.token.Read != nil && !r.cut(out) {
			continue
		}
		out.hold()
		return true, false, nil
	}
	return false, true, nil
}

// wait has the reader told when there is more.
func (r *Reader) wait() {
	if !r.waits {
		r.waits = true
		r.f.waiting = append(r.f.waiting, r)
	}
}

// behind says whether something that the reader has not seen is not kept.
func (r *Reader) behind() bool {
	for i, lane := range r.f.lanes {
		if r.token.Seen[i].before(lane.base) {
			return true
		}
	}
	return false
}

// pass notes that the reader has seen all there is.
func (r *Reader) pass() {
	for i, lane := range r.f.lanes {
		if to := through(lane.merged()); r.token.Seen[i].before(to) {
			r.token.Seen[i] = to
		}
	}
}

// canTellWhatWasRead says whether all that the reader's scan has read has come here too, so that it
// is known which parts of batches were among it.
func (r *Reader) canTellWhatWasRead() bool {
	passed := true
	for i, index := range r.token.Read {
		lane := r.f.lanes[i]
		if lane.arrived < index {
			return false
		}
		passed = passed && lane.merged() >= index
	}
	if r.readUntil == 0 && passed { // what comes from here on was written behind what was read
		r.readUntil = r.f.first + uint64(r.f.events.count)
	}
	if r.readUntil > 0 && r.at >= r.readUntil {
		r.token.Read = nil
	}
	return true
}

// cut takes out what the reader's scan has read, and says whether anything is left.
func (r *Reader) cut(e *Event) bool {
	wasRead := func(p *Part) bool { return p.index != 0 && p.index <= r.token.Read[p.Group-1] }
	var others []*Part
	for _, part := range e.Others {
		if !wasRead(part) {
			others = append(others, part)
		}
	}
	e.Others = others
	if wasRead(&e.Part) {
		e.Part = Part{Group: e.Group}
	}
	return len(others) > 0 || e.Part.Entries.Len() > 0
}

// ScanToken is that of a reader whose picture is a scan which had, of each group, all up to before
// when it began, and read the group at the instant of read.
func (f *Feed) ScanToken(before, read []uint64) string {
	token := Token{Seen: make([]Place, len(before))}
	for i, index := range before {
		token.Seen[i] = through(index)
	}
	if !slices.Equal(before, read) {
		token.Read = read
	}
	return token.encode(f.cfg.Tag)
}
