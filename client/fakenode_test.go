package client

import (
	"context"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/sheafdb/sheaf"
	sheafv1 "github.com/sheafdb/sheaf/api/sheaf/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeNode is a gRPC server that answers the calls of one kind with the lines
// of a script, the last of them for ever. It runs inside a synctest bubble on
// connections in memory, so a test of a minute's back-off takes no time.
type fakeNode struct {
	sheafv1.UnimplementedKVServiceServer
	sheafv1.UnimplementedNodeServiceServer
	listener *trackingListener

	putall []line[*sheafv1.PutAllRequest, *sheafv1.PutAllResponse]
	getall []line[*sheafv1.GetAllRequest, *sheafv1.GetAllResponse]
	bundle func(n int, req *sheafv1.PutBundleRequest) (*sheafv1.PutBundleResponse, error)
	// putstream serves the n-th stream.
	putstream func(n int, stream putStreamServer) error
	scan      func(*sheafv1.ScanRequest, grpc.ServerStreamingServer[sheafv1.ScanResponse]) error
	watch     func(*sheafv1.WatchRequest, grpc.ServerStreamingServer[sheafv1.WatchResponse]) error

	mu      sync.Mutex
	raw     [][]byte // every write as it arrived
	opened  int      // streams
	writes  []*sheafv1.PutAllRequest
	md      []metadata.MD // of the writes
	reads   []*sheafv1.GetAllRequest
	bundles []*sheafv1.PutBundleRequest
	clock   func() time.Time // nil: tells no time
}

type line[Req, Resp any] func(context.Context, *fakeNode, Req) (Resp, error)

// inBubble runs a test with a node and a client of it on fake time.
func inBubble(t *testing.T, node *fakeNode, test func(t *testing.T, c *Client), opts ...Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		test(t, serve(t, node, nil, opts...))
	})
}

// serve starts node and returns a client of it; both end with the test.
func serve(t *testing.T, node *fakeNode, serverOpts []grpc.ServerOption, opts ...Option) *Client {
	t.Helper()
	node.start(t, serverOpts...)
	return clientOf(t, []*fakeNode{node}, opts...)
}

// inBubbleOf runs a test with several nodes, which are endpoints of one client.
func inBubbleOf(t *testing.T, nodes []*fakeNode, test func(t *testing.T, c *Client), opts ...Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		for _, node := range nodes {
			node.start(t)
		}
		test(t, clientOf(t, nodes, opts...))
	})
}

// start serves until the test ends.
func (n *fakeNode) start(t *testing.T, opts ...grpc.ServerOption) {
	t.Helper()
	n.listener = &trackingListener{Listener: bufconn.Listen(1 << 20)}
	server := grpc.NewServer(append([]grpc.ServerOption{grpc.ForceServerCodecV2(recorder{n})}, opts...)...)
	sheafv1.RegisterKVServiceServer(server, n)
	sheafv1.RegisterNodeServiceServer(server, n)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(n.listener)
	}()
	t.Cleanup(func() {
		server.Stop()
		<-done
	})
}

// clientOf returns a client whose endpoints are the nodes, in order.
func clientOf(t *testing.T, nodes []*fakeNode, opts ...Option) *Client {
	t.Helper()
	byAddr := map[string]*fakeNode{}
	var addrs []string
	for i, node := range nodes {
		addr := "127.0.0.1:" + strconv.Itoa(i+1)
		byAddr[addr], addrs = node, append(addrs, addr)
	}
	dial := func(o *options) error {
		o.dial = append(o.dial, grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) {
			return byAddr[addr].listener.dial(ctx)
		}))
		return nil
	}
	c, err := New(strings.Join(addrs, ","), append([]Option{dial}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func withDialer(dial func(context.Context) (net.Conn, error)) Option {
	return func(o *options) error {
		o.dial = append(o.dial, grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return dial(ctx) }))
		return nil
	}
}

// trackingListener can cut the connections it accepted.
type trackingListener struct {
	*bufconn.Listener
	mu       sync.Mutex
	conns    []net.Conn
	accepted int
}

func (l *trackingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err == nil {
		l.mu.Lock()
		l.conns = append(l.conns, conn)
		l.accepted++
		l.mu.Unlock()
	}
	return conn, err
}

func (l *trackingListener) dial(ctx context.Context) (net.Conn, error) { return l.DialContext(ctx) }

func (l *trackingListener) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, conn := range l.conns {
		_ = conn.Close()
	}
	l.conns = nil
}

// recorder keeps the bytes of every write.
type recorder struct{ node *fakeNode }

func (recorder) Name() string { return "proto" }
func (recorder) Marshal(v any) (mem.BufferSlice, error) {
	return encoding.GetCodecV2("proto").Marshal(v)
}

func (r recorder) Unmarshal(data mem.BufferSlice, v any) error {
	switch v.(type) {
	case *sheafv1.PutAllRequest, *sheafv1.PutStreamRequest, *sheafv1.PutBundleRequest:
		r.node.mu.Lock()
		r.node.raw = append(r.node.raw, data.Materialize())
		r.node.mu.Unlock()
	}
	return encoding.GetCodecV2("proto").Unmarshal(data, v)
}

// received returns the writes that have arrived, while others may.
func (n *fakeNode) received() [][]byte {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.raw)
}

func (n *fakeNode) PutAll(ctx context.Context, req *sheafv1.PutAllRequest) (*sheafv1.PutAllResponse, error) {
	n.mu.Lock()
	n.writes = append(n.writes, req)
	md, _ := metadata.FromIncomingContext(ctx)
	n.md = append(n.md, md)
	next := n.putall[min(len(n.writes), len(n.putall))-1]
	n.mu.Unlock()
	n.tellTime(ctx)
	return next(ctx, n, req)
}

func (n *fakeNode) PutBundle(ctx context.Context, req *sheafv1.PutBundleRequest) (*sheafv1.PutBundleResponse, error) {
	if n.bundle == nil {
		return n.UnimplementedKVServiceServer.PutBundle(ctx, req)
	}
	n.mu.Lock()
	n.bundles = append(n.bundles, req)
	at := len(n.bundles) - 1
	n.mu.Unlock()
	n.tellTime(ctx)
	return n.bundle(at, req)
}

func (n *fakeNode) GetAll(ctx context.Context, req *sheafv1.GetAllRequest) (*sheafv1.GetAllResponse, error) {
	n.mu.Lock()
	n.reads = append(n.reads, req)
	next := n.getall[min(len(n.reads), len(n.getall))-1]
	n.mu.Unlock()
	n.tellTime(ctx)
	return next(ctx, n, req)
}

func (n *fakeNode) Scan(req *sheafv1.ScanRequest, stream grpc.ServerStreamingServer[sheafv1.ScanResponse]) error {
	return n.scan(req, stream)
}

func (n *fakeNode) Watch(req *sheafv1.WatchRequest, stream grpc.ServerStreamingServer[sheafv1.WatchResponse]) error {
	return n.watch(req, stream)
}

func (n *fakeNode) GetStatus(context.Context, *sheafv1.GetStatusRequest) (*sheafv1.GetStatusResponse, error) {
	return &sheafv1.GetStatusResponse{State: "serving"}, nil
}

func (n *fakeNode) tellTime(ctx context.Context) {
	if n.clock != nil {
		_ = grpc.SetTrailer(ctx, metadata.Pairs(serverTimeKey, strconv.FormatInt(n.clock().UnixMilli(), 10)))
	}
}

// The lines that a script of writes is made of.
type writeLine = line[*sheafv1.PutAllRequest, *sheafv1.PutAllResponse]

func applied(version uint64) writeLine {
	return func(context.Context, *fakeNode, *sheafv1.PutAllRequest) (*sheafv1.PutAllResponse, error) {
		return &sheafv1.PutAllResponse{Version: version, Etag: `"e"`}, nil
	}
}

// refused answers with a row of the table.
func refused(code sheaf.Code, details ...protoadapt.MessageV1) writeLine {
	return func(context.Context, *fakeNode, *sheafv1.PutAllRequest) (*sheafv1.PutAllResponse, error) {
		return nil, refusal(code, details...)
	}
}

func refusal(code sheaf.Code, details ...protoadapt.MessageV1) error {
	row, _ := code.Row()
	st, err := status.New(codes.Code(row.GRPC), "told by the test").WithDetails(append([]protoadapt.MessageV1{
		&errdetails.ErrorInfo{Reason: string(code), Domain: "sheaf"},
	}, details...)...)
	if err != nil {
		panic(err)
	}
	return st.Err()
}

func retryInfo(after time.Duration) protoadapt.MessageV1 {
	return &errdetails.RetryInfo{RetryDelay: durationpb.New(after)}
}

// bare answers with a status that has no details.
func bare(code codes.Code) writeLine {
	return func(context.Context, *fakeNode, *sheafv1.PutAllRequest) (*sheafv1.PutAllResponse, error) {
		return nil, status.Error(code, "bare")
	}
}

// dropped cuts the connection after the request was received.
func dropped(ctx context.Context, node *fakeNode, _ *sheafv1.PutAllRequest) (*sheafv1.PutAllResponse, error) {
	node.listener.cut()
	<-ctx.Done()
	return nil, ctx.Err()
}

// held answers nothing until the caller is gone.
func held(ctx context.Context, _ *fakeNode, _ *sheafv1.PutAllRequest) (*sheafv1.PutAllResponse, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}
