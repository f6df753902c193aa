package peer

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patienceOfTests is how long something may take that is certain to come.
const patienceOfTests = time.Minute

// waitFor waits until a condition holds.
func waitFor(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patienceOfTests); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("still waiting: %s", what)
		}
	}
}

// get takes what comes by a channel.
func get[T any](t *testing.T, what string, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patienceOfTests):
		t.Fatalf("still waiting: %s", what)
		panic("unreachable")
	}
}

// lines are what was logged.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

func (l *lines) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.buf.String(), text)
}

// fakeHandler does what its fields do; those that are nil are not expected.
type fakeHandler struct {
	admit func(from Identity, to uint64) error
	frame func(from uint64, frame []byte)
	call  func(ctx context.Context, from uint64, request []byte) ([]byte, error)
	state func(ctx context.Context, from uint64, next func() ([]byte, error)) error
	meet  func(from Identity, request []byte) ([]byte, error)
}

func (h *fakeHandler) Admit(from Identity, to uint64) error {
	if h.admit == nil {
		return nil
	}
	return h.admit(from, to)
}

func (h *fakeHandler) Frame(from uint64, frame []byte) {
	if h.frame == nil {
		panic(fmt.Sprintf("a frame of %d bytes came from node %d", len(frame), from))
	}
	h.frame(from, frame)
}

func (h *fakeHandler) Call(ctx context.Context, from uint64, request []byte) ([]byte, error) {
	return h.call(ctx, from, request)
}

func (h *fakeHandler) State(ctx context.Context, from uint64, next func() ([]byte, error)) error {
	return h.state(ctx, from, next)
}

func (h *fakeHandler) Meet(from Identity, request []byte) ([]byte, error) {
	return h.meet(from, request)
}

// one is node 1, which calls; node 2 is called.
var one = Identity{Cluster: "c", ID: 1, Name: "n1", Disk: "d1"}

// pair is node 1's client and node 2's server.
type pair struct {
	t      *testing.T
	client *Client
	server *Server
	addr   string
	// lost has the nodes to which something was lost.
	lost                 chan uint64
	clientLog, serverLog lines
}

// newPair connects the two by TCP.
func newPair(t *testing.T, h *fakeHandler, clientTLS, serverTLS *tls.Config) *pair {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := newCaller(t, clientTLS)
	p.addr = l.Addr().String()
	p.serve(h, l, serverTLS)
	p.client.Know(2, "n2", p.addr)
	return p
}

// newPairInMemory connects them by pipes, for synctest. dials counts the connections.
func newPairInMemory(t *testing.T, h *fakeHandler) (p *pair, l *pipes, dials *atomic.Int64) {
	t.Helper()
	l = newPipes()
	p = newCaller(t, nil)
	dials = new(atomic.Int64)
	p.client.connect = func(ctx context.Context, _ string) (net.Conn, error) {
		dials.Add(1)
		return l.connect(ctx)
	}
	if h != nil {
		p.serve(h, l, nil)
	}
	p.client.Know(2, "n2", "memory")
	return p, l, dials
}

// newCaller is half a pair: nobody is called yet.
func newCaller(t *testing.T, clientTLS *tls.Config) *pair {
	t.Helper()
	p := &pair{t: t, lost: make(chan uint64, 1000)}
	p.client = NewClient(func() Identity { return one }, clientTLS, func(to uint64) {
		select {
		case p.lost <- to:
		default:
		}
	}, p.clientLog.logger())
	t.Cleanup(p.client.Close)
	return p
}

// serve starts node 2's server, again if it was stopped.
func (p *pair) serve(h *fakeHandler, l net.Listener, config *tls.Config) {
	p.server = NewServer(h, config, p.serverLog.logger())
	served := make(chan error, 1)
	server := p.server
	go func() { served <- server.Serve(l) }()
	p.t.Cleanup(func() {
		server.Stop()
		if err := <-served; err != nil {
			p.t.Errorf("serve: %v", err)
		}
	})
}

// ctx bounds what the test waits for.
func (p *pair) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patienceOfTests)
	p.t.Cleanup(cancel)
	return ctx
}

// pipes is a listener in memory.
type pipes struct {
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), closed: make(chan struct{})} }

func (l *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipes) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "memory", Net: "pipe"} }

func (l *pipes) connect(ctx context.Context) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case l.conns <- far:
		return near, nil
	case <-l.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// admitByHand is a server's part of the greeting.
func admitByHand(raw net.Conn) (*conn, greeting, error) {
	c := newConn(raw, raw)
	hello, err := c.frames.read()
	if err != nil {
		return nil, greeting{}, err
	}
	g, refused := parseGreeting(hello)
	if refused != nil {
		return nil, g, refused
	}
	if err := c.send(); err != nil {
		return nil, g, err
	}
	return c, g, c.admitted()
}

// enter greets a server by hand, and is admitted.
func enter(t *testing.T, raw net.Conn, what purpose) *conn {
	t.Helper()
	c := newConn(raw, raw)
	hello, err := json.Marshal(greetingOf(one, 2, what))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.send(hello); err != nil {
		t.Fatal(err)
	}
	verdict, err := c.frames.read()
	if err != nil || len(verdict) > 0 {
		t.Fatalf("not admitted: %s, %v", verdict, err)
	}
	if err := c.admitted(); err != nil {
		t.Fatal(err)
	}
	return c
}

// enterTCP does so at an address.
func enterTCP(t *testing.T, addr string, what purpose) *conn {
	t.Helper()
	raw, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = raw.Close() })
	return enter(t, raw, what)
}

// mustEnd checks that the other side ends a connection without another byte.
func mustEnd(t *testing.T, c net.Conn) {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(patienceOfTests)); err != nil {
		t.Fatal(err)
	}
	n, err := c.Read(make([]byte, 1))
	if n > 0 || err == nil || late(err) {
		t.Errorf("the connection goes on: %d bytes, %v", n, err)
	}
}

// isNotSent says whether an error promises that nothing was done.
func isNotSent(err error) bool {
	var notSent *NotSentError
	return errors.As(err, &notSent)
}
