package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	sheafv1 "github.com/sheafdb/sheaf/api/sheaf/v1"
	"github.com/sheafdb/sheaf/internal/rpc"
	"github.com/sheafdb/sheaf/internal/telemetry"
	"github.com/sheafdb/sheaf/internal/web"
)

// listeners are the bound addresses of a node.
type listeners struct{ grpc, http, admin, peer net.Listener }

func (l *listeners) close() {
	for _, listener := range []net.Listener{l.grpc, l.http, l.admin, l.peer} {
		if listener != nil {
			_ = listener.Close() // a server that is at work on it has closed it already
		}
	}
}

// PortError says that a node cannot listen.
type PortError struct {
	Addr string
	// Setting is the flag that the address comes from.
	Setting string
	Err     error
}

// Error says where, why, and which flag chooses another address.
func (e *PortError) Error() string {
	return fmt.Sprintf("listen on %s: %v: choose another address with %s", e.Addr, e.Err, e.Setting)
}

// Unwrap is what the operating system says.
func (e *PortError) Unwrap() error { return e.Err }

// listen binds the three addresses and builds the servers behind them.
func (n *Node) listen() error {
	for _, port := range []struct {
		listener *net.Listener
		addr     string
		setting  string
	}{
		{&n.ports.grpc, n.cfg.GRPCAddr, "--grpc-addr"},
		{&n.ports.http, n.cfg.HTTPAddr, "--http-addr"},
		{&n.ports.admin, n.cfg.AdminAddr, "--admin-addr"},
	} {
		l, err := net.Listen("tcp", port.addr)
		if err != nil {
			return &PortError{port.addr, port.setting, err}
		}
		*port.listener = l
	}
	tlsConfig, err := loadTLS(n.cfg.TLS, n.opts.Logger)
	if err != nil {
		return err
	}
	var creds credentials.TransportCredentials
	if tlsConfig != nil {
		creds = credentials.NewTLS(tlsConfig)
	}
	if n.cfg.PlainOnTheNetwork() {
		n.opts.Logger.Warn("serving plain text (--insecure): anyone on the network can read and write all data")
	}
	registry := prometheus.NewRegistry()
	n.metrics = telemetry.NewMetrics(registry)
	n.metrics.RegisterNode(n.sample)
	n.rpc = rpc.New(rpc.Config{
		Gate: n.gate, Limits: n.cfg.Limits.SheafLimits(), RequireRequestID: n.cfg.RequireRequestID,
		Metrics: n.metrics, Cluster: n, NotYet: n.notYet, Status: n.status, Credentials: creds, Tracing: n.opts.Tracing, Logger: n.opts.Logger,
	})
	n.api.notYet = n.notYet
	n.web = web.Server(&n.api, n.cfg.HTTPAddr, n.opts.Logger)
	n.web.TLSConfig = tlsConfig
	n.admin = web.Server(web.NewAdmin(web.AdminConfig{Registry: registry, Ready: n.ready, Logger: n.opts.Logger}), n.cfg.AdminAddr, n.opts.Logger)
	n.run("grpc", func() error { return n.rpc.Serve(n.ports.grpc) })
	n.run("http", func() error {
		if tlsConfig != nil {
			return n.web.ServeTLS(n.ports.http, "", "")
		}
		return n.web.Serve(n.ports.http)
	})
	return nil
}

func (n *Node) serveAdmin() {
	n.run("admin", func() error { return n.admin.Serve(n.ports.admin) })
}

// run serves one face until it is closed.
func (n *Node) run(name string, serve func() error) {
	n.serving.Go(func() {
		err := serve()
		// All three mean that the node stopped it, perhaps before it began.
		if err != nil && !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, grpc.ErrServerStopped) && !errors.Is(err, net.ErrClosed) {
			n.fail(fmt.Errorf("serve %s: %w", name, err))
		}
	})
}

// drainFaces finishes the requests at work, or gives up on them when ctx ends.
func (n *Node) drainFaces(ctx context.Context) {
	stopped := make(chan struct{})
	go func() {
		n.rpc.GracefulStop()
		close(stopped)
	}()
	if err := n.web.Shutdown(ctx); err != nil {
		n.opts.Logger.Warn("requests were still at work when the drain timed out", "face", "http")
		_ = n.web.Close() // its error is the listener's, which is closed already
	}
	n.api.end()
	select {
	case <-stopped:
	case <-ctx.Done():
		n.opts.Logger.Warn("requests were still at work when the drain timed out", "face", "grpc")
		n.rpc.Stop()
		<-stopped
	}
}

// apiHandler answers DRAINING until the node has recovered, and again when it ends.
type apiHandler struct {
	api atomic.Pointer[http.Handler]
	// running is held for reading by every request.
	running sync.RWMutex
	// notYet says why there is no API.
	notYet func() string
}

func (h *apiHandler) set(api http.Handler) { h.api.Store(&api) }

// end returns when no request is in the API any more. http.Server.Close cuts their
// connections and does not wait for them, but the store under them is about to be closed.
func (h *apiHandler) end() {
	h.api.Store(nil)
	h.running.Lock()
	h.running.Unlock() //nolint:staticcheck // it was to wait
}

func (h *apiHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.running.RLock()
	defer h.running.RUnlock()
	if api := h.api.Load(); api != nil {
		(*api).ServeHTTP(w, r)
		return
	}
	web.Starting(w, h.notYet())
}

// status is what GetStatus answers.
func (n *Node) status() *sheafv1.GetStatusResponse {
	s := n.sample()
	grpcAddr, httpAddr, adminAddr := n.Addrs()
	return &sheafv1.GetStatusResponse{
		Version: n.opts.Version, State: *n.state.Load(), UptimeMs: time.Since(n.began).Milliseconds(),
		Store: n.cfg.Store, DataDir: n.dir.path, GrpcAddr: grpcAddr, HttpAddr: httpAddr, AdminAddr: adminAddr,
		AppliedIndex: s.AppliedIndex, DurableIndex: s.DurableIndex, Clock: s.Clock, LogBytes: s.LogBytes,
		RequestIds: s.RequestIDs, BytesInFlight: s.InFlightBytes, BytesInFlightLimit: s.InFlightLimitBytes,
		DiskFreeBytes: s.DiskFreeBytes,
	}
}

// sample reads the figures of status and metrics; before the node has recovered
// most are zero.
func (n *Node) sample() telemetry.NodeSample {
	var s telemetry.NodeSample
	s.InFlightBytes, s.InFlightLimitBytes = n.gate.InFlight()
	s.NoSpace = n.gate.NoSpace()
	if state := *n.state.Load(); state == stateRecovering || state == stateForming {
		return s
	}
	s.DiskFreeBytes = n.disk.free()
	s.LogBytes = n.log.SizeBytes()
	s.FeedBytes, s.Watches = n.feed.Load()
	for _, h := range n.hosted {
		g := h.group.Status()
		s.AppliedIndex += g.Meta.Index
		s.DurableIndex += g.Durable
		s.Clock = max(s.Clock, g.Meta.Clock)
		s.RequestIDs += g.Meta.Rows
		s.Groups = append(s.Groups, telemetry.GroupSample{ID: h.id, Leads: h.group.Leads(), Prepared: h.group.Prepared()})
	}
	return s
}
