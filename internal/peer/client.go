package peer

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"sync"
)

// Client sends to the other nodes. Its methods may be called from any goroutine.
type Client struct {
	self   func() Identity
	tls    *tls.Config
	lost   func(to uint64)
	logger *slog.Logger
	// connect is how a connection is made; tests have another.
	connect func(ctx context.Context, addr string) (net.Conn, error)

	mu     sync.Mutex
	nodes  map[uint64]*remote
	closed bool
	// retired are nodes that have moved, until they are closed.
	retired sync.WaitGroup
}

// remote is another node.
type remote struct {
	client *Client
	id     uint64
	name   string
	addr   string
	lanes  [lanes]*lane
	calls  *calls

	ctx  context.Context // until close
	stop context.CancelFunc
	done sync.WaitGroup // of the lanes

	mu   sync.Mutex
	down [lanes]bool
	told bool // that the node cannot be reached
}

// NewClient returns a client that knows nobody yet. lost is told when frames to a node were
// lost; it must not wait. tlsConfig is nil for plain text.
func NewClient(self func() Identity, tlsConfig *tls.Config, lost func(to uint64), logger *slog.Logger) *Client {
	dialer := &net.Dialer{Timeout: dialTime, KeepAliveConfig: keepAlive}
	return &Client{
		self: self, tls: ownProtocol(tlsConfig), lost: lost, logger: logger, nodes: make(map[uint64]*remote),
		connect: func(ctx context.Context, addr string) (net.Conn, error) { return dialer.DialContext(ctx, "tcp", addr) },
	}
}

// ownProtocol returns a copy that speaks nothing else.
func ownProtocol(config *tls.Config) *tls.Config {
	if config == nil {
		return nil
	}
	config = config.Clone()
	config.NextProtos = []string{protocol}
	return config
}

// Know says where a node is. A node that has moved is dialed anew.
func (c *Client) Know(id uint64, name, addr string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	if old := c.nodes[id]; old != nil {
		if old.addr == addr && old.name == name {
			return
		}
		old.stop() // at once: that the new connections end its own is no loss
		c.retired.Go(old.close)
	}
	r := &remote{client: c, id: id, name: name, addr: addr}
	r.ctx, r.stop = context.WithCancel(context.Background())
	r.calls = newCalls(r)
	for i := range r.lanes {
		r.lanes[i] = newLane()
		r.done.Go(func() { r.run(Lane(i)) })
	}
	c.nodes[id] = r
}

// Forget ends what is on its way to a node, which is not known any more.
func (c *Client) Forget(id uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if old := c.nodes[id]; old != nil {
		delete(c.nodes, id)
		c.retired.Go(old.close)
	}
}

func (c *Client) node(id uint64) (*remote, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r := c.nodes[id]; r != nil {
		return r, nil
	}
	return nil, &NotSentError{fmt.Errorf("node %d is not known here", id)}
}

// Send gives a frame, in parts that must not change any more, to a lane of a node. It does
// not wait; a frame that finds no room, or is larger than 256 MiB, is lost. An empty one is
// not delivered.
func (c *Client) Send(to uint64, l Lane, parts [][]byte) {
	r, err := c.node(to)
	if err != nil || !r.lanes[l].put(parts) {
		c.lost(to)
	}
}

// Close ends everything that is at work.
func (c *Client) Close() {
	c.mu.Lock()
	nodes := c.nodes
	c.nodes, c.closed = nil, true
	c.mu.Unlock()
	for _, r := range nodes {
		r.stop() // all at once
	}
	for _, r := range nodes {
		r.close()
	}
	c.retired.Wait()
}

func (r *remote) close() {
	r.stop()
	r.calls.close()
	r.done.Wait()
}

// laneUp notes that a lane is open, and says so if it was said that it is not.
func (r *remote) laneUp(l Lane) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.down[l] = false
	if r.told && r.down == [lanes]bool{} {
		r.told = false
		r.client.logger.Info("node is back", "node", r.id, "addr", r.addr)
	}
}

// laneDown notes that a lane is not open, and says so once for all lanes.
func (r *remote) laneDown(l Lane, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.down[l] = true
	if !r.told {
		r.told = true
		r.client.logger.Warn("node cannot be reached", "node", r.id, "addr", r.addr, "err", err)
	}
}
