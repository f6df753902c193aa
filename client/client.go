package client

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"

	"github.com/sheafdb/sheaf"
	sheafv1 "github.com/sheafdb/sheaf/api/sheaf/v1"
)

// Client is a connection to a node, or one to each of several of a cluster. It is safe for
// concurrent use, and one is enough for a program: calls share its connections.
type Client struct {
	nodes   nodes
	retry   RetryPolicy
	timeout time.Duration
	budget  bucket
	tracer  trace.Tracer // nil: nothing is traced
	closed  atomic.Bool

	// lanes gather single calls. life ends with Close, and running are those of its goroutines.
	lanes   lanes
	life    context.Context
	end     context.CancelFunc
	running sync.WaitGroup
	// noBundles: a node does not know PutBundle, so nothing is gathered for it any more.
	noBundles atomic.Bool

	// clock is the server's, as far as its answers have told.
	clock serverClock
}

// maxAnswerBytes is the largest message a Client takes: an answer holds at most
// one batch of values, plus the keys and versions around them.
var maxAnswerBytes = 2 * sheaf.DefaultLimits().BatchBytes

// minConnectTimeout bounds one attempt to connect, with its TLS handshake.
const minConnectTimeout = 5 * time.Second

// Windows bound what a node may send that this client has not read.
const (
	streamWindowBytes     = 4 << 20
	connectionWindowBytes = 16 << 20
)

// New returns a Client of the node at addr, "host:port", or of several nodes of one cluster,
// with commas between. It connects with the first call, so an address that nobody listens on is
// that call's error.
//
// Of several nodes it stays with one until that is not there or cannot serve, and then goes
// on with the next; writes find the leader of their keys' group among them by themselves.
//
// A loopback host is spoken to in plain text and any other over TLS 1.3 with
// the system's roots, unless [WithTLS] or [WithInsecure] say otherwise. The
// error says which argument is wrong.
func New(addr string, opts ...Option) (*Client, error) {
	o, err := gather(opts)
	if err != nil {
		return nil, fmt.Errorf("client of %q: %w", addr, err)
	}
	addrs, err := splitAddrs(addr)
	if err != nil {
		return nil, fmt.Errorf("client of %q: %w", addr, err)
	}
	c := &Client{retry: o.retry, timeout: o.timeout, tracer: o.tracer}
	c.budget.fill(o.retry.Budget)
	for _, one := range addrs {
		n, err := o.connect(one)
		if err != nil {
			_ = c.nodes.close() // they have not connected yet
			return nil, fmt.Errorf("client of %q: %w", one, err)
		}
		c.nodes.all = append(c.nodes.all, n)
	}
	c.openLanes()
	return c, nil
}

// connect prepares the connection to one node.
func (o *options) connect(addr string) (node, error) {
	creds, secure, err := o.credentials(addr)
	if err != nil {
		return node{}, err
	}
	dial := append([]grpc.DialOption{
		grpc.WithTransportCredentials(creds),
		grpc.WithKeepaliveParams(keepaliveParameters()),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff: backoff.Config{
				BaseDelay: o.retry.BaseDelay, MaxDelay: o.retry.MaxDelay, Multiplier: 2, Jitter: 0.2,
			},
			MinConnectTimeout: minConnectTimeout,
		}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswerBytes)),
		// Attempts are counted and told apart here; a second layer that also
		// retries would hide some of them.
		grpc.WithDisableRetry(),
		// Given, because gRPC would otherwise probe for them with a ping for every answer.
		grpc.WithInitialWindowSize(streamWindowBytes),
		grpc.WithInitialConnWindowSize(connectionWindowBytes),
		grpc.WithDisableServiceConfig(),
	}, o.dial...)
	conn, err := grpc.NewClient(addr, dial...)
	return node{addr: addr, conn: conn, secure: secure}, err
}

// Close closes the connections. Calls under way fail; a write among them ends
// with OUTCOME_UNKNOWN. Closing twice is harmless.
func (c *Client) Close() error {
	if c.closed.Swap(true) {
		return nil
	}
	err := c.nodes.close()
	c.closeLanes()
	return err
}

// Status asks the node what it is doing. It answers also while it recovers.
func (c *Client) Status(ctx context.Context) (*sheafv1.GetStatusResponse, error) {
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	var answer *sheafv1.GetStatusResponse
	_, err := c.run(ctx, c.newCall("status"), func(ctx context.Context, conn *grpc.ClientConn, opts ...grpc.CallOption) (sent bool, err error) {
		answer, err = sheafv1.NewNodeServiceClient(conn).GetStatus(ctx, &sheafv1.GetStatusRequest{}, opts...)
		return true, err
	})
	if err != nil {
		return nil, err
	}
	return answer, nil
}

// bounded gives a call without a deadline the Client's: nothing waits for ever.
func (c *Client) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, c.timeout)
}
