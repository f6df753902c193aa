package main

import (
	"bufio"
	"context"
	"net"
	"sync"
)

// lines are connections to a server that speaks a protocol of lines. Each caller
// has one to itself while it waits for an answer, as a pool of any client library
// would give it. They are written by hand because a client's CPU time is taken
// from the server beside it: a library that builds an argument list first costs
// its server a share that a user of a faster one would not pay.
type lines struct {
	alive context.Context
	dial  func() (net.Conn, error)
	mu    sync.Mutex
	idle  []*line
	all   []*line
}

// line is one connection with its buffers, which its user has to itself.
type line struct {
	conn net.Conn
	in   *bufio.Reader
	out  []byte
}

// use gives a connection to ask until it returns. A connection whose use failed
// is closed.
func (l *lines) use(ask func(*line) error) error {
	c, err := l.take()
	if err != nil {
		return err
	}
	if err := ask(c); err != nil {
		_ = c.conn.Close() // the first error says more
		if l.alive.Err() != nil {
			return context.Cause(l.alive)
		}
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.idle = append(l.idle, c)
	return nil
}

func (l *lines) take() (*line, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.idle); n > 0 {
		c := l.idle[n-1]
		l.idle = l.idle[:n-1]
		return c, nil
	}
	conn, err := l.dial()
	if err != nil {
		return nil, err
	}
	// Whoever waits for a server that is gone, or that a Ctrl-C ends, gets an error.
	context.AfterFunc(l.alive, func() { _ = conn.Close() })
	c := &line{conn: conn, in: bufio.NewReaderSize(conn, 64<<10)}
	l.all = append(l.all, c)
	return c, nil
}

// close closes all connections.
func (l *lines) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.all {
		_ = c.conn.Close() // the server is about to be killed anyway
	}
}
