package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/sheafdb/sheaf"
	sheafv1 "github.com/sheafdb/sheaf/api/sheaf/v1"
)

// Why a stream is opened again although nothing has failed.
var (
	// errAnnounce: the next batch is larger than the window, so its size must be announced.
	errAnnounce = errors.New("the next batch is larger than the window")
	// errLeader: another node leads.
	errLeader = errors.New("another node leads")
)

// run opens streams, one after the other, until Close has been called and everything has its
// result, or there is no more hope.
func (s *PutStream) run() {
	defer close(s.ended)
	defer s.giveUp(nil)
	defer s.patience.Stop()
	call := s.c.newCall(streamOp)
	if s.noRetry {
		call.policy.MaxAttempts = 1
	}
	for !s.isOpen() || s.awaitWork() {
		call.node, call.at = s.c.nodes.pick(call.route)
		announced, err := s.carry(call)
		lost, left := s.broken(call)
		switch {
		case err == nil || errors.Is(err, errAnnounce) || errors.Is(err, errLeader):
		case announced > 0 && !lost && sheaf.CodeOf(call.understand(err, false)) == sheaf.BatchTooLarge:
			s.refuse(call, err) // it is of the one batch that is too large
		case !left && s.isOpen():
			// Nothing is lost: the node has ended a stream that was at rest.
			if elsewhere(call.understand(err, true).Code) {
				s.c.nodes.leave(call.route, call.at)
			}
		default:
			if end := s.c.again(s.life, call, err, lost); end != nil {
				s.fail(sheaf.AsError(end))
				return
			}
		}
	}
	if err := s.life.Err(); err != nil {
		s.fail(&sheaf.Error{Code: sheaf.NotProposed, Op: streamOp, Err: context.Cause(s.life), Detail: "the stream's time was over"})
	}
}

func (s *PutStream) isOpen() bool {
	select {
	case <-s.opened:
		return true
	default:
		return false
	}
}

// awaitWork waits until there is something to send; false when there never will be.
func (s *PutStream) awaitWork() bool {
	for {
		s.mu.Lock()
		some, closing := len(s.queue) > 0, s.closing
		s.mu.Unlock()
		switch {
		case some:
			return true
		case closing:
			return false
		}
		select {
		case <-s.wake:
		case <-s.life.Done():
			return false
		}
	}
}

var putStreamDesc = grpc.StreamDesc{StreamName: "PutStream", ServerStreams: true, ClientStreams: true}

// carry opens one stream and sends what there is to send on it, until it breaks, or Close was
// called and everything is answered: then the error is nil. announced is the size that the
// node was told.
func (s *PutStream) carry(call *call) (announced int64, err error) {
	ctx, cancel := context.WithCancel(s.life)
	defer cancel()
	if announced = s.toAnnounce(); announced > 0 {
		ctx = metadata.AppendToOutgoingContext(ctx, batchBytesKey, strconv.FormatInt(announced, 10))
	}
	start := time.Now()
	stream, err := call.node.conn.NewStream(ctx, &putStreamDesc, sheafv1.KVService_PutStream_FullMethodName, grpc.ForceCodecV2(codec{}))
	if err != nil {
		return announced, err
	}
	if err := s.open(stream, call, start); err != nil {
		cancel()
		return announced, err
	}
	received := make(chan error, 1)
	go func() {
		defer cancel() // it ends a SendMsg that waits
		received <- s.receive(stream, call)
	}()
	for {
		p, finished, err := s.next()
		switch {
		case err != nil:
			cancel()
			<-received
			return announced, err
		case p != nil:
			if stream.SendMsg(&message{request: p.buffer}) != nil {
				return announced, <-received // which says why
			}
			continue
		case finished:
			_ = stream.CloseSend() // if it fails, so does what is received
			if err := <-received; err != io.EOF {
				return announced, err
			}
			return announced, nil
		}
		select {
		case <-s.wake:
		case err := <-received:
			return announced, err
		}
	}
}

// toAnnounce is the size of the first batch, if it is larger than the window that was granted
// last.
func (s *PutStream) toAnnounce() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) > 0 && s.queue[0].size > s.window {
		return s.queue[0].size
	}
	return 0
}

// open takes the first message, which grants the window.
func (s *PutStream) open(stream grpc.ClientStream, call *call, start time.Time) error {
	var granted sheafv1.PutStreamResponse
	if err := stream.RecvMsg(&granted); err != nil {
		return err
	}
	header, err := stream.Header()
	if err != nil {
		return err
	}
	s.c.clock.observe(header, start, time.Since(start))
	s.c.nodes.learn(call.route, call.at, header, true)
	if _, at := s.c.nodes.pick(call.route); at != call.at {
		return errLeader
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.grant(&granted)
	if !s.isOpen() {
		close(s.opened)
		s.resetPatience(len(s.queue) > 0)
	}
	return nil
}

// grant takes window and advice.
func (s *PutStream) grant(answer *sheafv1.PutStreamResponse) {
	s.window, s.advised = int64(answer.GetWindowBytes()), int(answer.GetAdvisedEntries())
}

// next is the batch to send, nil if there is none or the window is full. finished: no more will
// come, and everything is answered.
func (s *PutStream) next() (p *Pending, finished bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sent == len(s.queue) {
		return nil, s.closing && s.sent == 0, nil
	}
	p = s.queue[s.sent]
	switch {
	case s.sent > 0 && s.flying+p.size > s.window:
		return nil, false, nil
	case p.size > s.window:
		return nil, false, errAnnounce
	}
	s.sent++
	s.flying += p.size
	p.attempts++
	return p, false, nil
}

// receive takes answers until the stream ends.
func (s *PutStream) receive(stream grpc.ClientStream, call *call) error {
	var answer sheafv1.PutStreamResponse
	for {
		if err := stream.RecvMsg(&answer); err != nil {
			return err
		}
		if err := s.answered(&answer, call); err != nil {
			return err
		}
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
}

// unexpected is the error for an answer that belongs to no batch.
func unexpected(answer *sheafv1.PutStreamResponse) error {
	return fmt.Errorf("the node answered batch %q out of turn", answer.GetRequestId())
}
