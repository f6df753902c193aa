package client

import (
	"context"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc/mem"

	"github.com/sheafdb/sheaf"
)

// PutStream writes many batches over one stream, without waiting for one before the next is
// sent. Each is a batch of its own: all or nothing, with its own request ID and its own
// [Result]. Batches that have a key in common are applied in the order of their Puts.
//
// A stream that breaks is opened again, at another node if there is one, and what was not
// answered is sent again: the same bytes, under the same IDs, in the same order. So is a batch that
// was refused for now, and what came after it. None is applied twice.
//
// Its methods may be called from any goroutine; the order of the batches is that in which Put
// has let them in.
type PutStream struct {
	c        *Client
	defaults []WriteOption
	noRetry  bool
	bounded  bool // the caller's context has a deadline
	// life ends with the caller's context, or when nothing was answered for too long.
	life   context.Context
	giveUp context.CancelCauseFunc

	mu sync.Mutex
	// queue are the batches that have no result, in order; the first sent of them are on their
	// way on the stream that there is. bytes and flying are the sizes of all and of those.
	queue         []*Pending
	sent          int
	bytes, flying int64
	// most is the caller's bound for bytes, and window what the node has granted for flying; 0
	// before it has.
	most, window int64
	advised      int
	closing      bool
	failed       *sheaf.Error // why the stream has ended
	first        error        // of the batches
	progress     bool         // something was answered on the stream that there is
	refused      *Pending     // whose answer broke it
	room         chan struct{}
	patience     *time.Timer

	turn   chan struct{} // holds a token of the Put that is next to have room
	wake   chan struct{} // holds one token when there may be something to send
	opened chan struct{} // closed when a node has granted a window
	ended  chan struct{} // closed when run has returned
}

// Pending is a batch that a PutStream has taken.
type Pending struct {
	id       sheaf.RequestID
	buffer   mem.Buffer
	size     int64
	noRetry  bool
	attempts int
	state    state

	done   chan struct{} // closed when result and err are there
	result Result
	err    error
}

// defaultStreamBytes bounds what a PutStream holds, unless [WithStreamWindow] says otherwise.
const defaultStreamBytes = 16 << 20

// WithStreamWindow bounds the bytes of encoded batches that a [PutStream] holds: a Put waits
// while there are more without an answer, and so does one that does not fit in the window that the node
// has granted. A batch that is larger than either goes alone. The default is 16 MiB. It means
// nothing to a single write.
func WithStreamWindow(bytes int) WriteOption {
	return writeOption(func(o *writeOptions) { o.streamBytes = int64(bytes) })
}

// PutStream opens a stream. The options are those of every batch of it, to which Put may add;
// [WithStreamWindow] is the stream's.
//
// ctx bounds the stream's whole life. If it has no deadline, the stream gives up when nothing was
// answered, although something was sent, for as long as a single call may take (see
// [WithTimeout]). The caller must Close the stream.
func (c *Client) PutStream(ctx context.Context, opts ...WriteOption) (*PutStream, error) {
	o, invalid := gatherWrite(opts)
	switch {
	case invalid != nil:
	case o.idSet:
		invalid = sheaf.Invalid("request_id", "is given for a whole stream: every batch has its own, so give it to Put")
	case o.streamBytes < 0:
		invalid = sheaf.Invalid("window", "is %d: it must be positive", o.streamBytes)
	}
	if invalid != nil {
		invalid.Op = streamOp
		return nil, invalid
	}
	s := &PutStream{
		c: c, defaults: slices.Clone(opts), noRetry: o.noRetry, most: o.streamBytes,
		turn: make(chan struct{}, 1), wake: make(chan struct{}, 1), opened: make(chan struct{}), ended: make(chan struct{}),
	}
	if s.most == 0 {
		s.most = defaultStreamBytes
	}
	_, s.bounded = ctx.Deadline()
	s.life, s.giveUp = context.WithCancelCause(ctx)
	s.patience = time.AfterFunc(time.Hour, func() { s.giveUp(context.DeadlineExceeded) })
	s.resetPatience(true)
	go s.run()
	select {
	case <-s.opened:
		return s, nil
	case <-s.ended:
		return nil, s.failed
	}
}

// streamOp is the operation that errors name.
const streamOp = "putstream"

// Put takes a batch, and waits while there is no room for it. It has encoded the entries when it
// returns, so that the caller may use their memory again. What becomes of the batch, Wait tells; who
// does not ask is told of the first failure by Close. An error of Put itself means that the
// batch was not taken.
func (s *PutStream) Put(ctx context.Context, entries []sheaf.Entry, opts ...WriteOption) (*Pending, error) {
	p, err := s.encode(entries, opts)
	if err != nil {
		err.Op = streamOp
		return nil, err
	}
	if err := s.enqueue(ctx, p); err != nil {
		p.buffer.Free()
		return nil, err
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
	return p, nil
}

func (s *PutStream) encode(entries []sheaf.Entry, opts []WriteOption) (*Pending, *sheaf.Error) {
	o, invalid := gatherWrite(append(slices.Clip(s.defaults), opts...))
	if invalid != nil {
		return nil, invalid
	}
	if !o.idSet {
		id, err := newRequestID(s.c.clock.correction())
		if err != nil {
			return nil, &sheaf.Error{Code: sheaf.NotProposed, Detail: "make a request ID", Err: err}
		}
		o.id = id
	}
	request, tooLarge := encode(o.id, entries, &o)
	if tooLarge != nil {
		return nil, tooLarge
	}
	return &Pending{
		id: o.id, buffer: requests.asBuffer(request), size: int64(len(*request)),
		noRetry: o.noRetry, done: make(chan struct{}),
	}, nil
}

// enqueue waits for room and puts the batch behind all others.
func (s *PutStream) enqueue(ctx context.Context, p *Pending) error {
	select { // who waits for room is not passed by those who need less
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-s.ended:
	case <-ctx.Done():
		return noRoom(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.failed != nil:
			return s.failed
		case s.closing:
			return &sheaf.Error{Code: sheaf.NotProposed, Op: streamOp, Detail: "the stream is closed"}
		}
		if limit := min(s.most, s.window); len(s.queue) == 0 || s.bytes+p.size <= limit {
			break
		}
		if s.room == nil {
			s.room = make(chan struct{})
		}
		room := s.room
		s.mu.Unlock()
		select {
		case <-room:
		case <-s.ended:
		case <-ctx.Done():
			s.mu.Lock()
			return noRoom(ctx)
		}
		s.mu.Lock()
	}
	s.queue = append(s.queue, p)
	s.bytes += p.size
	if len(s.queue) == 1 {
		s.resetPatience(true)
	}
	return nil
}

func noRoom(ctx context.Context) error {
	return &sheaf.Error{Code: sheaf.NotProposed, Op: streamOp, Err: ctx.Err(), Detail: "the caller's time was over before there was room in the stream's window"}
}

// resetPatience begins to wait for an answer anew, or ends the wait.
func (s *PutStream) resetPatience(waits bool) {
	switch {
	case waits && !s.bounded:
		s.patience.Reset(s.c.timeout)
	default:
		s.patience.Stop()
	}
}

// Advised is how many entries the node would like the next batch to have, where that is the
// caller's choice.
func (s *PutStream) Advised() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.advised
}

// Close waits until every batch has its result, ends the stream, and returns the first failure of
// a batch, in their order. Closing twice is harmless.
func (s *PutStream) Close() error {
	s.mu.Lock()
	s.closing = true
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
	<-s.ended
	return s.first // nobody writes it any more
}

// Wait returns what became of the batch. When ctx ends first, that is not known; the stream
// goes on with the batch, and Wait may be called again. Its Result has no Stages.
func (p *Pending) Wait(ctx context.Context) (Result, error) {
	select {
	case <-p.done:
		return p.result, p.err
	default:
	}
	select {
	case <-p.done:
		return p.result, p.err
	case <-ctx.Done():
		return Result{RequestID: p.id}, &sheaf.Error{
			Code: sheaf.OutcomeUnknown, Op: streamOp, Err: ctx.Err(),
			Detail: "the caller's time was over before the batch was answered: the stream goes on with it (request ID " + string(p.id) + ")",
		}
	}
}

// RequestID is the batch's name.
func (p *Pending) RequestID() sheaf.RequestID { return p.id }
