package peer

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxCalls bounds the calls at work, and so the connections, to one node.
	maxCalls = 256
	// idleTime is how long a connection is kept for the next call. The server keeps it for
	// twice as long, so that it is not the one to end it.
	idleTime = time.Minute
)

// A request begins with its number, eight bytes that its answer repeats: an answer that comes
// to no call must not be taken for that to the next.
const numberBytes = 8

// What a handler answers begins with a byte that says what follows.
const (
	answerDone   = 0 // the answer
	answerFailed = 1 // the text of an error
)

// calls are the calls to one node, with the connections for them.
type calls struct {
	remote *remote
	// slots has an element for each call at work.
	slots chan struct{}

	mu sync.Mutex
	// open are all connections; idle are those without a call, the one used last at the end.
	open    map[*callConn]bool
	idle    []*callConn
	closed  bool
	readers sync.WaitGroup
}

func newCalls(r *remote) *calls {
	return &calls{remote: r, slots: make(chan struct{}, maxCalls), open: make(map[*callConn]bool)}
}

// callConn carries one call after the other.
type callConn struct {
	*conn
	last uint64 // number
	// due is the number of the call that is at work, 0 when there is none. The reader takes
	// it back.
	due atomic.Uint64
	// answers has the answer that was due, and is closed when none will come; then ended
	// says why.
	answers chan []byte
	ended   error
	since   time.Time // idle
}

// Call asks a node and returns its answer. After a NotSentError or a RefusedError the
// request was not acted upon; any other error says nothing about that. The request's parts
// must not change until Call returns.
func (c *Client) Call(ctx context.Context, to uint64, request ...[]byte) ([]byte, error) {
	r, err := c.node(to)
	if err != nil {
		return nil, err
	}
	if size := numberBytes + sizeOf(request); size > maxFrameBytes {
		return nil, &NotSentError{fmt.Errorf("a request of %d bytes is larger than %d", size, maxFrameBytes)}
	}
	if err := ctx.Err(); err != nil {
		return nil, &NotSentError{err}
	}
	select {
	case r.calls.slots <- struct{}{}:
		defer func() { <-r.calls.slots }()
	case <-ctx.Done():
		return nil, &NotSentError{ctx.Err()}
	}
	conn, err := r.calls.take(ctx)
	if err != nil {
		return nil, err
	}
	answer, err := conn.call(ctx, request)
	if err != nil {
		conn.close()
		return nil, err
	}
	if ctx.Err() == nil { // else it is being closed
		r.calls.put(conn)
	}
	return decodeAnswer(answer)
}

// remoteError is what another node's handler said.
type remoteError string

func (e remoteError) Error() string { return string(e) }

func decodeAnswer(answer []byte) ([]byte, error) {
	switch {
	case len(answer) > 0 && answer[0] == answerDone:
		return answer[1:], nil
	case len(answer) > 0 && answer[0] == answerFailed:
		return nil, remoteError(answer[1:])
	}
	return nil, errors.New("the answer cannot be read")
}

// call asks and waits. After an error the connection is of no more use.
func (c *callConn) call(ctx context.Context, request [][]byte) ([]byte, error) {
	stop := context.AfterFunc(ctx, c.close) // which the other side notices
	defer stop()
	c.last++
	c.due.Store(c.last)
	number := binary.LittleEndian.AppendUint64(nil, c.last)
	if err := c.send(append([][]byte{number}, request...)...); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, &NotSentError{err}
	}
	answer, ok := <-c.answers
	switch {
	case ok:
		return answer, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	}
	return nil, fmt.Errorf("the connection ended before the answer: %w", c.ended)
}

// take returns a connection without a call.
func (p *calls) take(ctx context.Context) (*callConn, error) {
	p.mu.Lock()
	if last := len(p.idle) - 1; last >= 0 && time.Since(p.idle[last].since) < idleTime {
		c := p.idle[last]
		p.idle = p.idle[:last]
		p.mu.Unlock()
		return c, nil
	}
	p.mu.Unlock()

	ctx, cancel := p.remote.lasting(ctx)
	defer cancel()
	conn, err := p.remote.dial(ctx, forCalls)
	if err != nil {
		return nil, err
	}
	c := &callConn{conn: conn, answers: make(chan []byte, 1)}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		c.close()
		return nil, &NotSentError{context.Canceled}
	}
	p.open[c] = true
	p.readers.Go(func() { p.read(c) })
	return c, nil
}

// read receives answers until the connection ends.
func (p *calls) read(c *callConn) {
	var err error
	for {
		var answer []byte
		if answer, err = c.receive(); err != nil {
			break
		}
		if len(answer) < numberBytes || !c.due.CompareAndSwap(binary.LittleEndian.Uint64(answer), 0) {
			err = errors.New("an answer came to no call")
			break
		}
		c.answers <- answer[numberBytes:] // there is room for one
	}
	c.close()
	c.ended = err
	close(c.answers)
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, c)
	p.idle = slices.DeleteFunc(p.idle, func(other *callConn) bool { return other == c })
}

// put keeps a connection for the next call, and ends those that nobody has used for long.
func (p *calls) put(c *callConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.open[c] {
		return
	}
	c.since = time.Now()
	p.idle = append(p.idle, c)
	for c.since.Sub(p.idle[0].since) > idleTime {
		p.idle[0].close() // its reader does the rest
		p.idle = p.idle[1:]
	}
}

// cut ends all calls and connections.
func (p *calls) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.open {
		c.close()
	}
	p.idle = nil
}

func (p *calls) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.cut()
	p.readers.Wait()
}
