package peer

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
)

// Lane is one of the ways to another node.
type Lane int

// The lanes.
const (
	// Urgent is for what is small and must not wait.
	Urgent Lane = iota
	// Bulk is for log entries.
	Bulk
	lanes
)

// laneBytes bounds what waits in one lane. A frame more is lost, and with it the wish to
// keep a node supplied that does not keep up.
const laneBytes = 256 << 20

// Client sends to the other nodes. Its methods may be called from any goroutine.
type Client struct {
	self   func() Identity
	tls    *tls.Config
	lost   func(to uint64)
	logger *slog.Logger

	mu     sync.Mutex
	nodes  map[uint64]*remote
	closed bool
}

// remote is another node.
type remote struct {
	id    uint64
	addr  string
	conn  *grpc.ClientConn
	lanes [lanes]*lane
	stop  context.CancelFunc
	done  sync.WaitGroup
}

// NewClient returns a client that knows nobody yet. lost is told when frames to a node were
// lost; it must not wait. tlsConfig is nil for plain text.
func NewClient(self func() Identity, tlsConfig *tls.Config, lost func(to uint64), logger *slog.Logger) *Client {
	return &Client{self: self, tls: tlsConfig, lost: lost, logger: logger, nodes: make(map[uint64]*remote)}
}

// Know says where a node is. A node that has moved is dialed anew.
func (c *Client) Know(id uint64, name, addr string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	if old := c.nodes[id]; old != nil {
		if old.addr == addr {
			return nil
		}
		go old.close()
	}
	conn, err := c.dial(name, addr)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &remote{id: id, addr: addr, conn: conn, stop: cancel}
	for i := range r.lanes {
		l := newLane()
		r.lanes[i] = l
		r.done.Go(func() { c.run(ctx, r, l) })
	}
	c.nodes[id] = r
	return nil
}

func (c *Client) dial(name, addr string) (*grpc.ClientConn, error) {
	creds := insecure.NewCredentials()
	if c.tls != nil {
		config := c.tls.Clone()
		config.ServerName = name
		creds = credentials.NewTLS(config)
	}
	conn, err := grpc.NewClient("passthrough:///"+addr,
		grpc.WithTransportCredentials(creds),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(codec{}), grpc.MaxCallRecvMsgSize(math.MaxInt32), grpc.MaxCallSendMsgSize(math.MaxInt32)),
		grpc.WithInitialWindowSize(windowBytes), grpc.WithInitialConnWindowSize(windowBytes),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second},
			MinConnectTimeout: 2 * time.Second,
		}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: keepaliveEvery, Timeout: keepaliveWait, PermitWithoutStream: true}),
	)
	if err != nil {
		return nil, fmt.Errorf("dial node %s at %s: %w", name, addr, err)
	}
	return conn, nil
}

// Forget ends what is on its way to a node, which is not known any more.
func (c *Client) Forget(id uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if old := c.nodes[id]; old != nil {
		go old.close()
		delete(c.nodes, id)
	}
}

func (c *Client) node(id uint64) *remote {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.nodes[id]
}

// Send gives a frame, in parts that must not change any more, to a lane of a node. It does
// not wait; a frame that finds no room is lost.
func (c *Client) Send(to uint64, l Lane, parts [][]byte) {
	r := c.node(to)
	if r == nil || !r.lanes[l].put(parts) {
		c.lost(to)
	}
}

// Call asks a node. An error says nothing about whether the call was done.
func (c *Client) Call(ctx context.Context, to uint64, request ...[]byte) ([]byte, error) {
	r := c.node(to)
	if r == nil {
		return nil, fmt.Errorf("node %d is not known here", to)
	}
	return c.ask(ctx, r.conn, to, callMethod, request)
}

func (c *Client) ask(ctx context.Context, conn *grpc.ClientConn, to uint64, method string, request [][]byte) ([]byte, error) {
	ctx, cancel := context.WithCancel(metadata.NewOutgoingContext(ctx, c.self().metadata(to)))
	defer cancel() // ends the stream after its one answer
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{}, method)
	if err != nil {
		return nil, err
	}
	if err := stream.SendMsg(&out{request}); err != nil {
		return nil, recvError(stream, err)
	}
	if err := stream.CloseSend(); err != nil {
		return nil, err
	}
	var answer in
	if err := stream.RecvMsg(&answer); err != nil {
		return nil, err
	}
	return answer.data, nil
}

// recvError is why a stream ended, which its receiving side knows.
func recvError(stream grpc.ClientStream, err error) error {
	if why := stream.RecvMsg(&in{}); why != nil {
		return why
	}
	return err
}

// Meet asks a node of a cluster that is being formed.
func (c *Client) Meet(ctx context.Context, to uint64, request []byte) ([]byte, error) {
	r := c.node(to)
	if r == nil {
		return nil, fmt.Errorf("node %d is not known here", to)
	}
	return c.ask(ctx, r.conn, to, meetMethod, [][]byte{request})
}

// SendState sends a state in the pieces that next returns until it returns none, and returns
// when the node has it.
func (c *Client) SendState(ctx context.Context, to uint64, next func() ([]byte, error)) error {
	r := c.node(to)
	if r == nil {
		return fmt.Errorf("node %d is not known here", to)
	}
	ctx, cancel := context.WithCancel(metadata.NewOutgoingContext(ctx, c.self().metadata(to)))
	defer cancel()
	stream, err := r.conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true}, stateMethod)
	if err != nil {
		return err
	}
	for {
		piece, err := next()
		if err != nil {
			return err
		}
		if piece == nil {
			break
		}
		if err := stream.SendMsg(&out{[][]byte{piece}}); err != nil {
			return recvError(stream, err)
		}
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	return stream.RecvMsg(&in{})
}

// Close ends everything that is at work.
func (c *Client) Close() {
	c.mu.Lock()
	nodes := c.nodes
	c.nodes, c.closed = nil, true
	c.mu.Unlock()
	for _, r := range nodes {
		r.close()
	}
}

func (r *remote) close() {
	r.stop()
	_ = r.conn.Close() // its streams end with it
	r.done.Wait()
}
