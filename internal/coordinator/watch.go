package coordinator

import (
	"context"
	"time"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/feed"
	"github.com/sheafdb/sheaf/internal/wire"
)

// WatchRequest says which changes to follow, and from where on.
type WatchRequest struct {
	Prefix []byte
	// Token is where to begin; empty is now or, if Oldest, the oldest change that is kept.
	Token  string
	Oldest bool
	// Progress is how often a mark comes when nothing else does; 0 is defaultProgress.
	Progress time.Duration
}

const (
	defaultProgress = 10 * time.Second
	minProgress     = 100 * time.Millisecond
)

// frameBytes is how much of a batch is in one frame, but for a single larger entry.
const frameBytes = 1 << 20

// Watch follows what is committed. It is not safe for concurrent use and must be closed.
type Watch struct {
	reader   *feed.Reader
	prefix   []byte
	progress *time.Timer
	every    time.Duration

	began bool
	sent  string // the last token that was sent
	// event is the one that is being sent, if left has any of its entries.
	event  feed.Event
	left   []wire.Entries
	number uint32
	buf    []byte
}

// Frame is one batch, or a part of a large one, or a mark of how far the watch is.
type Frame struct {
	// Token resumes behind the frame; it is empty while the batch goes on. After is the one behind
	// which the batch comes directly.
	Token, After string
	// Entries are the batch's that have the prefix; none of a mark. They are valid until the next
	// call.
	Entries wire.Entries
	// Version is that of the keys that were put; 0 when the keys have Expired.
	Version uint64
	Expired bool
	// More: the batch goes on. Number counts its frames from 0.
	More   bool
	Number uint32
}

// Watch begins to follow what is committed. Everything that was acknowledged before the call lies
// before its beginning or comes. Errors are *sheaf.Error.
func (c *Coordinator) Watch(ctx context.Context, req WatchRequest) (*Watch, error) {
	switch {
	case len(req.Prefix) > c.cfg.Limits.KeyBytes:
		return nil, sheaf.Invalid("prefix", "has %d bytes: no key has more than %d", len(req.Prefix), c.cfg.Limits.KeyBytes)
	case req.Oldest && req.Token != "":
		return nil, sheaf.Invalid("oldest", "contradicts the token, which says where to begin: leave one of them out")
	case req.Progress == 0:
		req.Progress = defaultProgress
	case req.Progress < minProgress:
		return nil, sheaf.Invalid("progress_ms", "is less than %d", minProgress.Milliseconds())
	}
	if err := c.cfg.Gate.Read(); err != nil {
		return nil, err
	}
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for _, g := range c.cfg.Groups {
		if err := g.Current(waiting); err != nil {
			return nil, err
		}
	}
	begin := c.cfg.Feed.Now
	switch {
	case req.Token != "":
		begin = func() (*feed.Reader, error) { return c.cfg.Feed.From(req.Token) }
	case req.Oldest:
		begin = c.cfg.Feed.Oldest
	}
	reader, err := begin()
	if err != nil {
		return nil, err
	}
	return &Watch{reader: reader, prefix: req.Prefix, every: req.Progress, progress: time.NewTimer(req.Progress)}, nil
}

// Next returns the next frame, at the first call the mark of where the watch begins. It waits until
// there is one.
func (w *Watch) Next(ctx context.Context) (Frame, error) {
	if !w.began {
		w.began = true
		return w.mark(), nil
	}
	for len(w.left) == 0 {
		event, ok, err := w.reader.Next(ctx, w.progress.C)
		if err != nil {
			return Frame{}, watchError(ctx, err)
		}
		if !ok {
			return w.mark(), nil
		}
		w.take(event)
		if len(w.left) > 0 {
			break
		}
		select {
		case <-w.progress.C: // busy with what the watch does not ask for
			return w.mark(), nil
		default:
		}
	}
	return w.frame(), nil
}

// take begins with an event, or lets go of it if it is not asked for.
func (w *Watch) take(event feed.Event) {
	w.event, w.number, w.left = event, 0, w.left[:0]
	w.leave(event.Part.Entries)
	for _, part := range event.Others {
		w.leave(part.Entries)
	}
	if len(w.left) == 0 {
		w.event.Release()
	}
}

// leave keeps what is yet to be sent of a part, if anything is.
func (w *Watch) leave(entries wire.Entries) {
	if _, rest := entries.Take(nil, w.prefix, 0); rest.Len() > 0 {
		w.left = append(w.left, rest)
	}
}

// frame sends the next entries of the event.
func (w *Watch) frame() Frame {
	f := Frame{After: w.sent, Version: w.event.Version, Expired: w.event.Expired(), Number: w.number}
	w.buf = w.buf[:0]
	count := 0
	for len(w.left) > 0 && len(w.buf) < frameBytes {
		taken, rest := w.left[0].Take(w.buf, w.prefix, frameBytes)
		w.buf, count = taken.Raw(), count+taken.Len()
		if w.left[0] = rest; rest.Len() == 0 {
			w.left = w.left[1:]
		}
	}
	f.Entries = wire.Gathered(w.buf, count)
	w.number++
	if f.More = len(w.left) > 0; !f.More {
		w.event.Release()
		f.Token = w.tell()
	}
	return f
}

// mark says how far the watch is.
func (w *Watch) mark() Frame { return Frame{Token: w.tell()} }

func (w *Watch) tell() string {
	w.sent = w.reader.Token()
	w.progress.Reset(w.every)
	return w.sent
}

// Close ends the watch.
func (w *Watch) Close() {
	if len(w.left) > 0 {
		w.event.Release()
	}
	w.reader.Close()
	w.progress.Stop()
}

func watchError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return &sheaf.Error{Code: sheaf.NotProposed, Err: ctx.Err(), Detail: "the watch was ended by its caller: watch again from the last token"}
	}
	return err
}
