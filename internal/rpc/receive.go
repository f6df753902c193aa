package rpc

import (
	"context"
	"strconv"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/telemetry"
)

// sizeHeader is how a client announces the size of its request, so that the
// memory can be reserved before it is read.
const sizeHeader = "sheaf-batch-bytes"

const (
	// receiveWait is how long a request waits for memory before it is refused.
	receiveWait = time.Second
	// receiveTimeout is how long a request may take to arrive, and a second more
	// for every receiveRateBytes that were announced: until then its memory is
	// held for it.
	receiveTimeout   = 10 * time.Second
	receiveRateBytes = 1 << 20
	// smallBytes is a request so small that holding its memory harms nobody.
	smallBytes = 64 << 10
)

// receive reads the stream's one request, with its bytes counted as in flight before they
// are read. They stay counted, and the call holds them, until letGo: who needs them longer
// holds c.frame.buffer.
//
// A client that announces no size is taken to send the largest that gRPC lets
// through until its request is there, and only half of the memory is for such
// clients. gRPC lets through twice what a batch may have, because what it stops
// it answers itself, with a bare RESOURCE_EXHAUSTED that our table has no part in.
//
// The stage "admit" is the wait for memory; the time that the bytes take to
// arrive is the network's, and counts to no stage here.
func (s *Server) receive(c *call) (msg []byte, err error) {
	announced := announcedSize(c.stream.Context())
	limit := int64(s.cfg.Limits.BatchBytes)
	switch {
	case announced > limit+requestOverheadBytes:
		return nil, tooLarge(announced, s.cfg.Limits)
	case announced > 0:
		err = s.reserve(c, announced, receiveWait)
	default:
		var leave func()
		if leave, err = s.enterUnannounced(c.stream.Context()); err == nil {
			defer leave()
			err = s.reserve(c, receiveLimit(s.cfg.Limits), receiveTimeout)
		}
	}
	if err != nil {
		return nil, err
	}
	c.stages.Since(telemetry.Admit, c.began)
	f := &c.frame
	if 0 < announced && announced <= smallBytes {
		err = c.stream.RecvMsg(f)
	} else {
		*f, err = receiveWithin(c.stream, receiveTimeout+time.Duration(max(announced, 0)/receiveRateBytes)*time.Second)
	}
	if err != nil {
		return nil, receiveError(err, s.cfg.Limits.BatchBytes)
	}
	size := int64(len(f.buffer.Bytes()))
	switch {
	case size > limit+requestOverheadBytes:
		return nil, tooLarge(size, s.cfg.Limits)
	case size > c.reserved:
		return nil, sheaf.Invalid("request", "has %d bytes but %s announced %d", size, sizeHeader, announced)
	}
	s.cfg.Gate.Release(c.reserved - size)
	c.reserved = size
	return f.buffer.Bytes(), nil
}

func tooLarge(size int64, limits sheaf.Limits) error {
	return sheaf.Errorf(sheaf.BatchTooLarge, "the request has %d bytes, where at most %d are allowed (limits.batch_bytes): split the batch", size, limits.BatchBytes)
}

// letGo gives back what receive took. The call must not use its message any more.
func (s *Server) letGo(c *call) {
	c.frame.buffer.Release()
	c.frame.buffer = nil
	if c.reserved > 0 {
		s.cfg.Gate.Release(c.reserved)
		c.reserved = 0
	}
}

// reserve counts bytes for a call, and waits for them if it must.
func (s *Server) reserve(c *call, bytes int64, wait time.Duration) error {
	err := s.cfg.Gate.Reserve(bytes)
	if err != nil {
		ctx, cancel := context.WithTimeout(c.stream.Context(), wait)
		defer cancel()
		err = s.cfg.Gate.ReserveWait(ctx, bytes)
	}
	if err == nil {
		c.reserved = bytes
	}
	return err
}

// enterUnannounced waits for one of the places of requests of unknown size.
func (s *Server) enterUnannounced(ctx context.Context) (leave func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, receiveTimeout) // the places are few, and free within this time
	defer cancel()
	select {
	case s.unannounced <- struct{}{}:
		return func() { <-s.unannounced }, nil
	case <-ctx.Done():
		return nil, &sheaf.Error{
			Code: sheaf.RateLimited, RetryAfter: receiveWait,
			Detail: "too many requests are arriving whose size was not announced (metadata " + sizeHeader + ")",
		}
	}
}

var errSlow = &sheaf.Error{
	Code: sheaf.NotProposed, Err: context.DeadlineExceeded,
	Detail: "the request did not arrive in time (a large one whose size is announced in the metadata " + sizeHeader + " is given more)",
}

// arrival is one RecvMsg on a goroutine of its own.
type arrival struct {
	frame frame
	done  chan error // has room for one
	timer *time.Timer
}

// arrivals are those whose RecvMsg has ended.
var arrivals = sync.Pool{New: func() any {
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	return &arrival{done: make(chan error, 1), timer: timer}
}}

func (a *arrival) receive(stream grpc.ServerStream) { a.done <- stream.RecvMsg(&a.frame) }

// receiveWithin is RecvMsg with a time limit. When it gives up, the handler
// returns, which ends the stream and with it the RecvMsg.
func receiveWithin(stream grpc.ServerStream, limit time.Duration) (frame, error) {
	a := arrivals.Get().(*arrival)
	a.timer.Reset(limit)
	go a.receive(stream)
	select {
	case err := <-a.done:
		a.timer.Stop()
		f := a.frame
		a.frame = frame{}
		arrivals.Put(a)
		return f, err
	case <-a.timer.C:
		return frame{}, errSlow
	}
}

func announcedSize(ctx context.Context) int64 {
	values := metadata.ValueFromIncomingContext(ctx, sizeHeader)
	if len(values) != 1 {
		return 0
	}
	n, err := strconv.ParseInt(values[0], 10, 64)
	if err != nil {
		return 0
	}
	return n
}
