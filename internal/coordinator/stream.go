package coordinator

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/telemetry"
	"github.com/sheafdb/sheaf/internal/wire"
)

// Stream writes the batches of one caller side by side, but those that have a key in common
// in the order in which they came.
//
// Invariants:
//   - A batch is begun when all before it that have a key in common with it have ended.
//   - A batch that ended in a way that its caller will send it again keeps its keys: what comes
//     behind it and shares one is refused too, until it has come again. Otherwise the second
//     of two batches could be applied first.
//   - All batches have one level: at EVENTUAL a batch has ended when it is accepted, and one at
//     another level would pass it.
//
// A batch that was refused for good, or whose caller does not come again with it, is no
// matter of the stream's: who gives one up goes on with other keys, or with another Stream.
type Stream struct {
	c *Coordinator

	mu    sync.Mutex
	freed sync.Cond // when a flight has ended
	// flying are the batches that have not ended, by number; keys says which of them was the
	// last to have a key.
	flying map[uint32]*Flight
	keys   lastKeys
	// owed are the batches that are to come again, in the order in which they came first.
	owed     []owed
	owedKeys int
	// full is set when there are too many of them: the stream takes nothing more.
	full error
	last uint64
	// level is that of the first batch.
	level sheaf.Consistency
}

// What bounds a stream, beside the bytes that its face counts.
const (
	// MaxFlights is how many batches of one stream are at work at a time.
	// How many keys those may have is for lastKeys to say.
	MaxFlights = 32
	// maxOwedKeys bounds the keys of batches that are to come again.
	maxOwedKeys = 1 << 18
	// flightPatience bounds a batch whose stream has no deadline.
	flightPatience = 30 * time.Second
)

// Flight is one batch of a stream. Its Request must stay as it is until Wait has returned.
type Flight struct {
	Request wire.PutAll
	Stages  telemetry.Stages

	number uint64 // of its arrival
	order  uint64 // of its first arrival
	ahead  []*Flight
	done   chan struct{} // closed when what follows is there
	answer Answer
	err    error
	again  bool // it is to be sent again

	generation *generation
}

// owed is a batch that is to come again.
type owed struct {
	requestID string
	order     uint64
	hashes    map[uint64]struct{}
	err       error
}

// NewStream returns a stream without batches.
func (c *Coordinator) NewStream() *Stream {
	s := &Stream{c: c, flying: make(map[uint32]*Flight), keys: newLastKeys()}
	s.freed.L = &s.mu
	return s
}

// Begin starts to write a batch, after those before it where they share keys. It waits while
// too many are at work. One goroutine calls it. ctx must be the same for all batches, and
// its end ends them. An error means that nothing more can be taken.
func (s *Stream) Begin(ctx context.Context, f *Flight) error {
	f.done = make(chan struct{})
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.flying) >= MaxFlights || s.keys.waits(f.Request.Entries.Len()) || s.flying[short(s.last+1)] != nil {
		s.freed.Wait()
	}
	if s.full != nil {
		return s.full
	}
	s.count(f)
	if f.Request.Consistency != s.level {
		f.err = sheaf.Invalid("consistency", "is %s, and that of this stream's first batch %s: what is accepted at one level is not in order with what is written at another, so open a stream for each", f.Request.Consistency, s.level)
		close(f.done)
		return nil
	}
	if len(s.owed) > 0 {
		if err := s.behindOwed(f); err != nil {
			f.err, f.again = err, true
			s.owe(f)
			close(f.done)
			return nil
		}
	}
	s.keys.join(f, s.flying)
	s.flying[short(f.number)] = f
	go s.run(ctx, f)
	return nil
}

// Refuse takes the place of Begin for a batch that is refused before it could begin. Where the error
// says that it is to come again, what shares a key with it waits for that, as for any other.
func (s *Stream) Refuse(f *Flight, err error) {
	f.done = make(chan struct{})
	close(f.done)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count(f)
	if f.err, f.again = err, toComeAgain(err); f.again {
		_ = s.behindOwed(f) // it keeps the place that it had
		s.owe(f)
	}
}

// count gives a batch its number. mu is held.
func (s *Stream) count(f *Flight) {
	if s.last++; s.last == 1 {
		s.level = f.Request.Consistency
	}
	f.number, f.order = s.last, s.last
}

// Wait returns what became of the batch.
func (f *Flight) Wait() (Answer, error) {
	<-f.done
	return f.answer, f.err
}

// Route is how many groups there are, and whether another node leads the one, if it is one:
// who writes there saves a step.
func (c *Coordinator) Route() (groups int, forwarded bool) {
	g := c.whole()
	return len(c.cfg.Groups), g != nil && !g.Leads()
}

// Close takes nothing more and returns when no batch is at work.
func (s *Stream) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.full == nil {
		s.full = sheaf.Errorf(sheaf.NotProposed, "the stream is over")
	}
	for len(s.flying) > 0 {
		s.freed.Wait()
	}
}

func (s *Stream) run(ctx context.Context, f *Flight) {
	f.answer, f.err = s.put(ctx, f)
	s.mu.Lock()
	delete(s.flying, short(f.number))
	f.generation.flying--
	if f.again = toComeAgain(f.err); f.again {
		s.owe(f)
	}
	s.freed.Broadcast()
	s.mu.Unlock()
	close(f.done)
}

func (s *Stream) put(ctx context.Context, f *Flight) (Answer, error) {
	for _, before := range f.ahead {
		<-before.done // its time is bounded as this one's is
		if before.again && before.order < f.order {
			return Answer{}, behind(before.Request.RequestID, before.err)
		}
	}
	f.ahead = nil
	if _, has := ctx.Deadline(); !has {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, flightPatience)
		defer cancel()
	}
	return s.c.PutAll(ctx, &f.Request, &f.Stages)
}

// toComeAgain says whether a caller who was told this sends the same batch again.
func toComeAgain(err error) bool {
	if err == nil {
		return false
	}
	row, known := sheaf.CodeOf(err).Row()
	return known && (row.Retry == sheaf.RetrySameID || row.Retry == sheaf.RetryElsewhere)
}

// behind is the refusal of a batch for the sake of one before it.
func behind(requestID string, why error) error {
	e := sheaf.AsError(why)
	return &sheaf.Error{
		Code: sheaf.Contention, RetryAfter: e.RetryAfter,
		Detail: "batch " + requestID + " of this stream, which has a key in common with this one, ended with " + string(e.Code) +
			": send that again first, then this, so that they are applied in their order",
	}
}

// behindOwed looks whether a batch has to wait for one that is to come again, and gives one
// that comes again the place that it had.
func (s *Stream) behindOwed(f *Flight) error {
	for i, one := range s.owed {
		if one.requestID == f.Request.RequestID {
			f.order = one.order
			s.owed = slices.Delete(s.owed, i, i+1)
			s.owedKeys -= len(one.hashes)
			break
		}
	}
	for _, one := range s.owed {
		if one.order >= f.order {
			break
		}
		for _, entry := range f.Request.Entries.All() {
			if _, shared := one.hashes[hashOf(entry.Key)]; shared {
				return behind(one.requestID, one.err)
			}
		}
	}
	return nil
}

// owe remembers a batch that is to come again.
func (s *Stream) owe(f *Flight) {
	entries := f.Request.Entries
	if s.owedKeys+entries.Len() > maxOwedKeys && s.owedKeys > 0 {
		s.full = &sheaf.Error{
			Code: sheaf.RateLimited, RetryAfter: sheaf.AsError(f.err).RetryAfter,
			Detail: "too many batches of this stream are to be sent again: open another, and send them in their order",
		}
		return
	}
	one := owed{requestID: f.Request.RequestID, order: f.order, hashes: make(map[uint64]struct{}, entries.Len()), err: f.err}
	for _, entry := range entries.All() {
		one.hashes[hashOf(entry.Key)] = struct{}{}
	}
	at := len(s.owed)
	for at > 0 && s.owed[at-1].order > one.order {
		at--
	}
	s.owed = slices.Insert(s.owed, at, one)
	s.owedKeys += entries.Len()
}
