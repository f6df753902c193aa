package rpc

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/coordinator"
)

// putStream is one stream of batches. Three goroutines carry it: one receives and begins
// batches, one answers them in the order in which they came, and the handler watches over both,
// because RecvMsg and SendMsg end only when it returns.
//
// Invariants:
//   - The bytes of all batches that were received and not answered are within the window, which is
//     counted at the Gate for the stream's whole life. A single batch that is larger is counted
//     when it is there, and nothing else is.
//   - No batch is answered before those that came before it.
//   - When the handler has returned, no batch of the stream is at work.
type putStream struct {
	server  *Server
	stream  grpc.ServerStream
	batches *coordinator.Stream
	ctx     context.Context // of the batches
	window  int64
	// queue has the batches that are not answered, for the one who answers.
	queue chan *streamed
	// over gets the reason for the stream's end; it has room for all who may have one.
	over chan error

	// unanswered are the bytes that count against the window; lastMove is when something came
	// or was answered, and sending since when an answer has not been taken, in nanoseconds since
	// the Unix epoch, or 0.
	unanswered        atomic.Int64
	lastMove, sending atomic.Int64
	advised           atomic.Uint32

	mu      sync.Mutex
	waiting int  // batches that are not answered
	closing bool // nothing more is begun
}

// streamed is one batch of a stream.
type streamed struct {
	flight coordinator.Flight
	frame  frame
	// size counts against the window, extra at the Gate beyond it.
	size, extra int64
	began       time.Time
	refused     error // why the batch was not begun
}

const (
	// streamWindowMost is the largest window that is granted unasked: some four batches of
	// adviceBytes. It is at most a share of streamWindowPart of the memory that is free, so that
	// however many streams there are, room is left for other requests; and not less than
	// streamWindowLeast, or the streamLeastPart of all memory if that is less.
	streamWindowMost  = 16 << 20
	streamWindowLeast = 256 << 10
	streamWindowPart  = 8
	streamLeastPart   = 64
)

// putStream receives batches and answers each, until the client sends no more.
func (s *Server) putStream(c *call) error {
	if err := s.cfg.Gate.Read(); err != nil {
		return err
	}
	window, err := s.reserveWindow(c)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(c.stream.Context())
	p := &putStream{
		server: s, stream: c.stream, batches: c.core.NewStream(), ctx: ctx, window: window,
		queue: make(chan *streamed, coordinator.MaxFlights), over: make(chan error, 3),
	}
	defer p.batches.Close() // after cancel
	defer cancel()
	defer p.close()
	p.advised.Store(firstAdvice)
	p.lastMove.Store(time.Now().UnixNano())
	if err := p.stream.SetHeader(streamHeader(c.core)); err != nil {
		return err
	}
	go p.answer()
	go p.receive()
	return p.watch()
}

// streamHeader tells the client the time, for the issue times of its request IDs, and whether
// another node would save a step.
func streamHeader(core *coordinator.Coordinator) metadata.MD {
	return metadata.Pairs(
		"sheaf-time-ms", strconv.FormatInt(time.Now().UnixMilli(), 10),
		"sheaf-route", routeText(core.Route()))
}

// reserveWindow counts the stream's window, which the call holds until letGo. A client that
// announces a size gets a window that a batch of that size fits in.
func (s *Server) reserveWindow(c *call) (int64, error) {
	now, limit := s.cfg.Gate.InFlight()
	least := min(streamWindowLeast, limit/streamLeastPart)
	// What no batch may have is announced, and refused by name, before it is sent.
	most := int64(s.cfg.Limits.BatchBytes) + requestOverheadBytes
	least = min(least, most)
	window := min(max(least, min(streamWindowMost, (limit-now)/streamWindowPart)), most)
	announced := announcedSize(c.stream.Context())
	switch {
	case announced > most:
		return 0, tooLarge(announced, s.cfg.Limits)
	case announced > window:
		return announced, s.reserve(c, announced, receiveWait)
	}
	if s.reserve(c, window, 0) == nil {
		return window, nil
	}
	return max(least, announced), s.reserve(c, max(least, announced), receiveWait)
}

// close lets nothing more begin.
func (p *putStream) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closing = true
}

// enter counts a batch as waiting for its answer, unless the stream takes no more.
func (p *putStream) enter() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closing {
		return false
	}
	p.waiting++
	return true
}

// leave says whether all that were let in have left, when no more are.
func (p *putStream) leave() (last bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting--
	return p.closing && p.waiting == 0
}

// errDraining ends the streams of a node that shuts down.
var errDraining = sheaf.Errorf(sheaf.Draining, "the node is shutting down: every batch that it took is answered, and the others are to be sent elsewhere")

// drain lets no more batches in, and says whether none is left.
func (p *putStream) drain() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closing = true
	return p.waiting == 0
}
