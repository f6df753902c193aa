package main

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	"github.com/sheafdb/sheaf"
	sheafv1 "github.com/sheafdb/sheaf/api/sheaf/v1"
	"github.com/sheafdb/sheaf/internal/admission"
	"github.com/sheafdb/sheaf/internal/apply"
	"github.com/sheafdb/sheaf/internal/coordinator"
	"github.com/sheafdb/sheaf/internal/group"
	"github.com/sheafdb/sheaf/internal/rpc"
	"github.com/sheafdb/sheaf/internal/telemetry"
	"github.com/sheafdb/sheaf/internal/wire"
)

// The contestants, in the order of their turns: putall stands between the two
// that it is compared with.
var contestants = [...]string{"copied", putAll, "blob"}

const putAll = "putall"

// newServer makes the server of a contestant. stop ends what is behind it.
func newServer(name string) (server *grpc.Server, stop func(), err error) {
	switch name {
	case putAll:
		server, stop = newPutAll()
		return server, stop, nil
	case "blob":
		return newBlob(false), func() {}, nil
	case "copied":
		return newBlob(true), func() {}, nil
	}
	return nil, nil, fmt.Errorf("there is no contestant %q", name)
}

// newPutAll is a node without log and store.
func newPutAll() (*grpc.Server, func()) {
	limits := sheaf.DefaultLimits()
	logger := slog.New(slog.DiscardHandler)
	gate := admission.NewGate(limits.InFlightBytes)
	core := coordinator.New(coordinator.Config{
		Groups: []coordinator.Group{&sink{}}, Gate: gate, Limits: limits,
		EventualBytes: 1 << 20, EventualWindow: 20 * time.Millisecond, Logger: logger,
	})
	server := rpc.New(rpc.Config{
		Gate: gate, Limits: limits, Metrics: telemetry.NewMetrics(prometheus.NewRegistry()),
		Status: func() *sheafv1.GetStatusResponse { return &sheafv1.GetStatusResponse{} }, Logger: logger,
	})
	server.SetCore(core)
	return server.Server, func() { core.Close(context.Background()) }
}

// sink is a group that drops what it is given, after the work that apply cannot
// do without: one walk over the entries and the ETag of their keys. Its other
// methods are not called.
type sink struct {
	coordinator.Group
	version atomic.Uint64
}

// Leads says that there is nobody else.
func (s *sink) Leads() bool { return true }

// Propose answers at once. It claims a time in the log and in apply so that the
// answer has the stages of a real one.
func (s *sink) Propose(_ context.Context, cmd *wire.Command) (apply.Result, group.Timing, error) {
	result := apply.Result{Version: s.version.Add(1)}
	for _, entry := range cmd.Entries.All() {
		if !entry.Delete {
			result.ETag.AddKey(entry.Key, result.Version)
		}
	}
	return result, group.Timing{Log: time.Microsecond, Apply: time.Microsecond}, nil
}

// newBlob is a bare gRPC server under the transport settings of package rpc,
// which keeps them to itself: they are set here again. It drops each request, and
// before that copies it into one new buffer if asked to.
func newBlob(copied bool) *grpc.Server {
	limits := sheaf.DefaultLimits()
	server := grpc.NewServer(
		grpc.ForceServerCodecV2(codec{}),
		grpc.MaxRecvMsgSize(2*limits.BatchBytes+64<<10),
		grpc.MaxConcurrentStreams(uint32(limits.StreamsPerConnection)),
		grpc.MaxHeaderListSize(16<<10),
		grpc.ConnectionTimeout(5*time.Second),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: rpc.KeepaliveMinTime, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: time.Minute, Timeout: 20 * time.Second}),
		grpc.WaitForHandlers(true),
	)
	// PutAll's name makes the requests the same bytes on the wire. It is handled
	// as a stream, like in package rpc.
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: sheafv1.KVService_ServiceDesc.ServiceName,
		HandlerType: (*any)(nil),
		Streams: []grpc.StreamDesc{{StreamName: "PutAll", Handler: func(_ any, stream grpc.ServerStream) error {
			var request blob
			if err := stream.RecvMsg(&request); err != nil {
				return err
			}
			defer request.pieces.Free()
			if copied && len(request.pieces.Materialize()) == 0 {
				return status.Error(codes.InvalidArgument, "the request is empty")
			}
			return stream.SendMsg(&blobAnswer)
		}}},
	}, nil)
	return server
}

// blobAnswer is as long as an answer of PutAll.
var blobAnswer = sheafv1.PutAllResponse{Version: 1 << 20, Etag: string(wire.ETagSum{Hi: 1, Lo: 2}.ETag())}
