// Package rpc is the gRPC face: it receives requests, hands them to the
// coordinator, and answers with the codes of the error table.
//
// The data methods are handled as streams although they are unary on the wire:
// a generated unary handler reads and decodes the message before any of our
// code runs, so neither could its memory be reserved first nor a malformed
// message be answered by the table. See docs/non-obvious.md.
package rpc

import (
	"log/slog"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection"

	"github.com/sheafdb/sheaf"
	sheafv1 "github.com/sheafdb/sheaf/api/sheaf/v1"
	"github.com/sheafdb/sheaf/internal/admission"
	"github.com/sheafdb/sheaf/internal/coordinator"
	"github.com/sheafdb/sheaf/internal/telemetry"
	"github.com/sheafdb/sheaf/internal/wire"
)

// Config is what the gRPC face needs.
type Config struct {
	Gate   *admission.Gate
	Limits sheaf.Limits
	// RequireRequestID refuses writes that have none.
	RequireRequestID bool
	Metrics          *telemetry.Metrics
	// Cluster, if not nil, answers the ClusterService.
	Cluster Cluster
	// NotYet says why the node does not serve before SetCore; nil is that it is starting up.
	NotYet func() string
	// Status answers NodeService.GetStatus.
	Status func() *sheafv1.GetStatusResponse
	// Credentials secure the connections; nil is plain text.
	Credentials credentials.TransportCredentials
	// Tracing adds spans for every call.
	Tracing bool
	Logger  *slog.Logger
}

// Limits that are gRPC's own.
const (
	// requestOverheadBytes is what a request may carry beside its entries.
	requestOverheadBytes = 64 << 10
	maxHeaderBytes       = 16 << 10
	// The windows bound what a client may send that nobody has read. They are given,
	// because gRPC would otherwise probe for them with a ping for every large message.
	streamWindowBytes     = 1 << 20
	connectionWindowBytes = 4 << 20
	connectionTimeout     = 5 * time.Second
	// KeepaliveMinTime is how often a client may ping. It must stay below
	// client.KeepaliveTime, or the server answers too_many_pings.
	KeepaliveMinTime = 10 * time.Second
)

// Server is the gRPC face of a node.
type Server struct {
	*grpc.Server
	cfg    Config
	core   atomic.Pointer[coordinator.Coordinator]
	health *health.Server
	// unannounced holds one token per request of unknown size on its way in.
	unannounced chan struct{}
	// draining is closed by Drain: streams of batches then come to their end.
	draining  chan struct{}
	drainOnce sync.Once
	streams   streamTimes
}

// New returns a server that answers DRAINING, and NOT_SERVING to health checks,
// until SetCore.
func New(cfg Config) *Server {
	if cfg.NotYet == nil {
		cfg.NotYet = func() string { return "the node is starting up" }
	}
	options := []grpc.ServerOption{
		grpc.ForceServerCodecV2(newCodec()),
		grpc.MaxRecvMsgSize(int(receiveLimit(cfg.Limits))),
		grpc.MaxConcurrentStreams(uint32(cfg.Limits.StreamsPerConnection)),
		grpc.MaxHeaderListSize(maxHeaderBytes),
		grpc.InitialWindowSize(streamWindowBytes),
		grpc.InitialConnWindowSize(connectionWindowBytes),
		grpc.ConnectionTimeout(connectionTimeout),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: KeepaliveMinTime, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: time.Minute, Timeout: 20 * time.Second}),
		grpc.WaitForHandlers(true),
	}
	if cfg.Credentials != nil {
		options = append(options, grpc.Creds(cfg.Credentials))
	}
	if cfg.Tracing {
		options = append(options, grpc.StatsHandler(otelgrpc.NewServerHandler()))
	}
	s := &Server{
		Server:      grpc.NewServer(options...),
		cfg:         cfg,
		health:      health.NewServer(),
		unannounced: make(chan struct{}, max(1, cfg.Limits.InFlightBytes/2/receiveLimit(cfg.Limits))),
		draining:    make(chan struct{}),
		streams:     defaultStreamTimes,
	}
	s.health.SetServingStatus("", healthpb.HealthCheckResponse_NOT_SERVING)
	s.RegisterService(&kvService, s)
	sheafv1.RegisterNodeServiceServer(s.Server, nodeService{status: cfg.Status})
	if cfg.Cluster != nil {
		sheafv1.RegisterClusterServiceServer(s.Server, clusterService{cluster: cfg.Cluster})
	}
	healthpb.RegisterHealthServer(s.Server, s.health)
	reflection.Register(s.Server)
	return s
}

// receiveLimit is the largest message that gRPC hands to us.
func receiveLimit(limits sheaf.Limits) int64 {
	return 2*int64(limits.BatchBytes) + requestOverheadBytes
}

// guarded runs a method. A panic is a defect of ours: it is logged, answered as
// INTERNAL, and ends no other call.
func (s *Server) guarded(name string, method func(*Server, *call) error, c *call) (err error) {
	defer func() {
		if p := recover(); p != nil {
			s.cfg.Logger.Error("handler panicked", "method", name, "panic", p, "stack", string(debug.Stack()))
			err = sheaf.Errorf(sheaf.Internal, "the handler failed: see the node's log")
		}
	}()
	return method(s, c)
}

// SetCore begins to serve: recovery is over.
func (s *Server) SetCore(core *coordinator.Coordinator) {
	s.core.Store(core)
	s.health.SetServingStatus("", healthpb.HealthCheckResponse_SERVING)
	s.health.SetServingStatus(kvService.ServiceName, healthpb.HealthCheckResponse_SERVING)
}

// Drain tells health checks that the node is going away, and ends streams of batches when what
// they have begun is answered.
func (s *Server) Drain() {
	s.health.Shutdown()
	s.drainOnce.Do(func() { close(s.draining) })
}

// kvService is sheaf.v1.KVService with handlers of our own for every method.
var kvService = grpc.ServiceDesc{
	ServiceName: sheafv1.KVService_ServiceDesc.ServiceName,
	HandlerType: (*any)(nil),
	Metadata:    sheafv1.KVService_ServiceDesc.Metadata,
	Streams: []grpc.StreamDesc{
		{StreamName: "PutAll", Handler: handler("putall", (*Server).putAll)},
		{StreamName: "GetAll", Handler: handler("getall", (*Server).getAll)},
		{StreamName: "DeleteAll", Handler: handler("deleteall", (*Server).deleteAll)},
		{StreamName: "PutBundle", Handler: handler("putbundle", (*Server).putBundle)},
		{StreamName: "Scan", Handler: handler("scan", (*Server).scan), ServerStreams: true},
		{StreamName: "Watch", Handler: handler("watch", (*Server).watch), ServerStreams: true},
		{StreamName: "PutStream", Handler: handler("putstream", (*Server).putStream), ServerStreams: true, ClientStreams: true},
	},
}

// call is one call on its way through the face.
type call struct {
	stream grpc.ServerStream
	core   *coordinator.Coordinator
	stages telemetry.Stages
	began  time.Time
	// frame has the request's bytes, and reserved is how many are counted for them;
	// both until the method has returned.
	frame    frame
	reserved int64
	batch    *wire.PutAll // nil until it is decoded, then the request
	request  wire.PutAll
	answer   sheafv1.PutAllResponse
	trailer  metadata.MD
	texts    [3]string // the values in trailer
	// route tells the client which node to bring such batches to; empty is this one.
	route string
}

// calls are those that have ended: nothing that a method calls keeps a part of one.
var calls = sync.Pool{New: func() any { return &call{trailer: make(metadata.MD)} }}

func newCall(stream grpc.ServerStream) *call {
	c := calls.Get().(*call)
	c.stream, c.began = stream, time.Now()
	return c
}

func (c *call) reuse() {
	*c = call{trailer: c.trailer}
	calls.Put(c)
}

// setTrailer gives the server's time and the stages that the call met. gRPC copies it.
func (c *call) setTrailer() {
	clear(c.trailer)
	c.texts = [3]string{strconv.FormatInt(time.Now().UnixMilli(), 10), c.stages.ServerTiming(), c.route}
	c.trailer["sheaf-time-ms"] = c.texts[:1]
	if c.texts[1] != "" {
		c.trailer["server-timing"] = c.texts[1:2]
	}
	if c.route != "" {
		c.trailer["sheaf-route"] = c.texts[2:]
	}
	c.stream.SetTrailer(c.trailer)
}

// handler wraps a method with what all have in common: the node must be
// serving, the answer carries the server's time and the stages, and an error
// becomes a status.
func handler(name string, method func(*Server, *call) error) grpc.StreamHandler {
	return func(srv any, stream grpc.ServerStream) error {
		s := srv.(*Server)
		c := newCall(stream)
		defer c.reuse()
		c.core = s.core.Load()
		var err error
		if c.core == nil {
			err = &sheaf.Error{Code: sheaf.Draining, Detail: s.cfg.NotYet(), RetryAfter: time.Second}
		} else {
			err = s.guarded(name, method, c)
		}
		s.letGo(c)
		c.setTrailer()
		reason := "" // success
		if gone := stream.Context().Err(); err != nil && gone != nil && sheaf.CodeOf(err) == sheaf.Internal {
			err = &sheaf.Error{Code: sheaf.OutcomeUnknown, Err: gone, Detail: "the caller went away"}
		}
		if err != nil {
			e := sheaf.AsError(err)
			reason = string(e.Code)
			if e.Code == sheaf.Internal {
				s.cfg.Logger.Error("request failed", "method", name, "err", err)
			}
		}
		if name == "putall" || name == "deleteall" || name == "putbundle" {
			s.observeWrite(c, reason)
		}
		s.cfg.Metrics.ObserveRequest("grpc", name, reason, time.Since(c.began))
		return statusOf(err)
	}
}
