package peer

import (
	"context"
	"errors"
	"io"
	"time"
)

// laneOf names a lane of another node.
type laneOf struct {
	node uint64
	what purpose
}

// laneIn is the connection of a lane.
type laneIn struct {
	conn  *conn
	ended chan struct{}
}

// serveLane takes frames, in the order in which they were sent: what an earlier connection
// of the same lane still had comes before.
func (s *Server) serveLane(c *conn, g greeting) error {
	lane := laneOf{g.ID, g.Purpose}
	in := &laneIn{c, make(chan struct{})}
	s.mu.Lock()
	earlier := s.lanes[lane]
	s.lanes[lane] = in
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.lanes[lane] == in {
			delete(s.lanes, lane)
		}
		close(in.ended)
	}()
	if earlier != nil {
		earlier.conn.close()
		<-earlier.ended
	}
	c.idle = silence
	for {
		frame, err := c.receive()
		if err != nil {
			return err
		}
		if len(frame) > 0 {
			s.handler.Frame(g.ID, frame)
		} else if err := c.send(); err != nil { // a pulse
			return err
		}
	}
}

// serveCalls answers one call after the other. While one is at work the connection is
// received from, so that a caller who goes is noticed.
func (s *Server) serveCalls(c *conn, from uint64) error {
	if err := c.raw.SetReadDeadline(time.Now().Add(2 * idleTime)); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(s.ctx)
	requests := make(chan []byte)
	var why error
	go func() {
		defer close(requests)
		defer cancel()
		why = c.forward(ctx, requests)
	}()
	var failed error
	for request := range requests {
		answer, err := s.handler.Call(ctx, from, request[numberBytes:])
		if failed == nil {
			failed = c.reply(request[:numberBytes], answer, err)
		}
		if failed != nil {
			c.close() // the requests end with it
		}
	}
	return errors.Join(failed, why)
}

var errNoNumber = errors.New("a request has no number")

// forward passes requests on until the connection or ctx ends.
func (c *conn) forward(ctx context.Context, requests chan<- []byte) error {
	for {
		request, err := c.receive()
		if err != nil {
			return err
		}
		if len(request) < numberBytes {
			return errNoNumber
		}
		if err := c.unlimited(); err != nil { // until the answer: see reply
			return err
		}
		select {
		case requests <- request:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// reply answers a call, after which the next may be long in coming, but not for ever: the
// caller does not use a connection that has been idle for half of that. The limit is set
// before the answer leaves, since the next request lifts it.
func (c *conn) reply(number, answer []byte, err error) error {
	if err := c.raw.SetReadDeadline(time.Now().Add(2 * idleTime)); err != nil {
		return err
	}
	return c.answer(number, answer, err)
}

// serveState lets the handler take a state, and sends its verdict.
func (s *Server) serveState(c *conn, from uint64) error {
	c.idle, c.grace = stateSilence, stateSilence
	whole := false
	var broken error
	next := func() (piece []byte, err error) {
		if whole {
			return nil, io.EOF
		}
		if broken == nil {
			piece, broken = c.receive()
		}
		switch {
		case errors.Is(broken, io.EOF):
			return nil, io.ErrUnexpectedEOF // the end of a state is a frame
		case broken == nil && len(piece) == 0:
			whole = true
			return nil, io.EOF
		}
		return piece, broken
	}
	err := s.handler.State(s.ctx, from, next)
	if err == nil && !whole {
		if _, more := next(); !whole { // what it did not ask for must be the end
			err = errors.Join(errors.New("the state went on after its end"), more)
		}
	}
	if sent := c.answer(nil, nil, err); sent != nil || whole {
		return errors.Join(broken, sent)
	}
	// The sender is to read why. If the connection were closed over what it has sent
	// meanwhile, that would be lost.
	_ = c.raw.SetReadDeadline(time.Now().Add(greetTime)) // fails when it is closed
	_, _ = io.Copy(io.Discard, c.frames.src)
	return broken
}
