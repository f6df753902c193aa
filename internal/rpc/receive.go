package rpc

import (
	"context"
	"strconv"
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

// receive reads the stream's one request, with its bytes counted as in flight
// before they are read. The caller must call release when it is done with them, and
// not use msg any more; who needs the bytes longer holds c.source before.
//
// A client that announces no size is taken to send the largest that gRPC lets
// through until its request is there, and only half of the memory is for such
// clients. gRPC lets through twice what a batch may have, because what it stops
// it answers itself, with a bare RESOURCE_EXHAUSTED that our table has no part in.
//
// The stage "admit" is the wait for memory; the time that the bytes take to
// arrive is the network's, and counts to no stage here.
func (s *Server) receive(c *call) (msg []byte, release func(), err error) {
	stream := c.stream
	wait := receiveWait
	announced := announcedSize(stream.Context())
	if announced <= 0 {
		wait = receiveTimeout // the places are few, and free within this time
	}
	ctx, cancel := context.WithTimeout(stream.Context(), wait)
	defer cancel()
	limit := int64(s.cfg.Limits.BatchBytes)
	tooLarge := func(size int64) error {
		return sheaf.Errorf(sheaf.BatchTooLarge, "the request has %d bytes, where at most %d are allowed (limits.batch_bytes): split the batch", size, limit)
	}
	if announced > limit+requestOverheadBytes {
		return nil, nil, tooLarge(announced)
	}
	reserved := announced
	if announced <= 0 {
		select {
		case s.unannounced <- struct{}{}:
			defer func() { <-s.unannounced }()
		case <-ctx.Done():
			return nil, nil, &sheaf.Error{
				Code: sheaf.RateLimited, RetryAfter: receiveWait,
				Detail: "too many requests are arriving whose size was not announced (metadata " + sizeHeader + ")",
			}
		}
		reserved = receiveLimit(s.cfg.Limits)
	}
	if err := s.cfg.Gate.ReserveWait(ctx, reserved); err != nil {
		return nil, nil, err
	}
	c.stages.Since(telemetry.Admit, c.began)
	var f frame
	if 0 < announced && announced <= smallBytes {
		err = stream.RecvMsg(&f)
	} else {
		err = receiveWithin(stream, &f, receiveTimeout+time.Duration(max(announced, 0)/receiveRateBytes)*time.Second)
	}
	if err != nil {
		s.cfg.Gate.Release(reserved)
		f.buffer.Release()
		return nil, nil, receiveError(err, s.cfg.Limits.BatchBytes)
	}
	size := int64(len(f.buffer.Bytes()))
	switch {
	case size > limit+requestOverheadBytes:
		err = tooLarge(size)
	case size > reserved:
		err = sheaf.Invalid("request", "has %d bytes but %s announced %d", size, sizeHeader, announced)
	}
	if err != nil {
		s.cfg.Gate.Release(reserved)
		f.buffer.Release()
		return nil, nil, err
	}
	s.cfg.Gate.Release(reserved - size)
	c.source = f.buffer
	return f.buffer.Bytes(), func() {
		f.buffer.Release()
		s.cfg.Gate.Release(size)
	}, nil
}

var errSlow = &sheaf.Error{
	Code: sheaf.NotProposed, Err: context.DeadlineExceeded,
	Detail: "the request did not arrive in time (a large one whose size is announced in the metadata " + sizeHeader + " is given more)",
}

// receiveWithin is RecvMsg with a time limit. When it gives up, the handler
// returns, which ends the stream and with it the RecvMsg.
func receiveWithin(stream grpc.ServerStream, f *frame, limit time.Duration) error {
	received := make(chan error, 1)
	var mine frame
	go func() { received <- stream.RecvMsg(&mine) }()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case err := <-received:
		*f = mine
		return err
	case <-timer.C:
		return errSlow
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
