package rpc

import (
	"context"
	"log/slog"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/test/bufconn"

	"github.com/sheafdb/sheaf"
	sheafv1 "github.com/sheafdb/sheaf/api/sheaf/v1"
	"github.com/sheafdb/sheaf/client"
	"github.com/sheafdb/sheaf/internal/admission"
	"github.com/sheafdb/sheaf/internal/telemetry"
)

// Ten minutes with pings every half minute, or every ten seconds, which is what gRPC for Go
// makes of anything faster, where the third strike ends a connection: with a call in progress and
// without one. The server is a node's, its policy and its own pings included.
func TestPingsAreWithinThePolicy(t *testing.T) {
	for name, every := range map[string]time.Duration{
		"of our client": client.KeepaliveTime, "as fast as gRPC for Go can": time.Second,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				pipe := &counting{Listener: bufconn.Listen(1 << 16)}
				s := New(Config{
					Gate: admission.NewGate(1 << 30), Limits: sheaf.DefaultLimits(),
					Metrics: telemetry.NewMetrics(prometheus.NewRegistry()), Logger: slog.New(slog.DiscardHandler),
					Status: func() *sheafv1.GetStatusResponse { return &sheafv1.GetStatusResponse{} },
				})
				served := make(chan error, 1)
				go func() { served <- s.Serve(pipe) }()
				conn, err := grpc.NewClient("passthrough:///pipe",
					grpc.WithTransportCredentials(insecure.NewCredentials()),
					grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return pipe.DialContext(ctx) }),
					grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: every, Timeout: client.KeepaliveTimeout, PermitWithoutStream: true}))
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithCancel(t.Context())
				watch, err := healthpb.NewHealthClient(conn).Watch(ctx, &healthpb.HealthCheckRequest{})
				if err != nil {
					t.Fatal(err)
				}
				if _, err := watch.Recv(); err != nil {
					t.Fatal(err)
				}
				<-time.After(10 * time.Minute)
				cancel()
				<-time.After(10 * time.Minute)
				if _, err := sheafv1.NewNodeServiceClient(conn).GetStatus(t.Context(), &sheafv1.GetStatusRequest{}); err != nil {
					t.Error(err)
				}
				if pipe.accepted != 1 {
					t.Errorf("%d connections, want one that lives", pipe.accepted)
				}
				if err := conn.Close(); err != nil {
					t.Error(err)
				}
				s.Stop()
				if err := <-served; err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// counting counts connections.
type counting struct {
	*bufconn.Listener
	accepted int
}

func (l *counting) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err == nil {
		l.accepted++
	}
	return conn, err
}
