package peer

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"math"
	"net"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// Handler is what a node does with what others send.
type Handler interface {
	// Admit says why a caller is refused, or nil; to is the node that he means to call.
	// It is asked at the beginning of everything that follows.
	Admit(from Identity, to uint64) error
	// Frame takes a frame; it must not wait. It keeps the bytes.
	Frame(from uint64, frame []byte)
	// Call answers a call. It keeps the bytes.
	Call(ctx context.Context, from uint64, request []byte) ([]byte, error)
	// State takes a state: the pieces in order until io.EOF, or the error that ended it.
	State(ctx context.Context, from uint64, next func() ([]byte, error)) error
	// Meet answers a node of a cluster that is being formed. Admit is not asked.
	Meet(from Identity, request []byte) ([]byte, error)
}

const (
	service      = "sheaf.peer.v1.Peer"
	framesMethod = "/" + service + "/Frames"
	callMethod   = "/" + service + "/Call"
	stateMethod  = "/" + service + "/State"
	meetMethod   = "/" + service + "/Meet"
)

// windowBytes is how much of one stream, and of one connection, may be on its way: a batch
// need not wait for the acknowledgement of its first half.
const windowBytes = 16 << 20

// Server takes what other nodes send.
type Server struct {
	grpc    *grpc.Server
	handler Handler
	tls     bool
}

// NewServer returns a server. tlsConfig, if not nil, must ask for the caller's certificate,
// one of whose names must be the node's; without it the network is trusted.
func NewServer(handler Handler, tlsConfig *tls.Config, logger *slog.Logger) *Server {
	s := &Server{handler: handler, tls: tlsConfig != nil}
	options := []grpc.ServerOption{
		grpc.ForceServerCodecV2(codec{}),
		grpc.MaxRecvMsgSize(math.MaxInt32), grpc.MaxSendMsgSize(math.MaxInt32),
		grpc.InitialWindowSize(windowBytes), grpc.InitialConnWindowSize(windowBytes),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: keepaliveEvery, Timeout: keepaliveWait}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: keepaliveEvery / 2, PermitWithoutStream: true}),
	}
	if tlsConfig != nil {
		options = append(options, grpc.Creds(credentials.NewTLS(tlsConfig)))
	}
	s.grpc = grpc.NewServer(options...)
	s.grpc.RegisterService(&grpc.ServiceDesc{
		ServiceName: service, HandlerType: (*any)(nil),
		Streams: []grpc.StreamDesc{
			{StreamName: "Frames", ClientStreams: true, Handler: s.method(s.frames)},
			{StreamName: "Call", Handler: s.method(s.call)},
			{StreamName: "State", ClientStreams: true, Handler: s.method(s.state)},
			{StreamName: "Meet", Handler: s.meet},
		},
	}, nil)
	return s
}

// keepaliveEvery is how often an idle connection is tried, and keepaliveWait how long the
// answer may take before it counts as broken.
const (
	keepaliveEvery = 5 * time.Second
	keepaliveWait  = 2 * time.Second
)

// Serve serves until Stop.
func (s *Server) Serve(l net.Listener) error { return s.grpc.Serve(l) }

// Stop ends everything that is at work.
func (s *Server) Stop() { s.grpc.Stop() }

// method admits a caller first.
func (s *Server) method(serve func(from uint64, stream grpc.ServerStream) error) grpc.StreamHandler {
	return func(_ any, stream grpc.ServerStream) error {
		from, to, err := identityOf(stream.Context())
		if err != nil {
			return err
		}
		if err := s.certified(stream.Context(), from); err != nil {
			return err
		}
		if err := s.handler.Admit(from, to); err != nil {
			return status.Error(codes.PermissionDenied, err.Error())
		}
		return serve(from.ID, stream)
	}
}

// certified compares the caller's name with his certificate's names.
func (s *Server) certified(ctx context.Context, from Identity) error {
	if !s.tls {
		return nil
	}
	p, _ := peer.FromContext(ctx)
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok || len(info.State.VerifiedChains) == 0 || !slices.Contains(info.State.VerifiedChains[0][0].DNSNames, from.Name) {
		return status.Errorf(codes.PermissionDenied, "the caller calls itself %s, and its certificate does not have that name", from.Name)
	}
	return nil
}

func (s *Server) frames(from uint64, stream grpc.ServerStream) error {
	for {
		var frame in
		if err := stream.RecvMsg(&frame); err != nil {
			return ended(err)
		}
		s.handler.Frame(from, frame.data)
	}
}

// ended is nil at the end of a stream.
func ended(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

func (s *Server) call(from uint64, stream grpc.ServerStream) error {
	var request in
	if err := stream.RecvMsg(&request); err != nil {
		return err
	}
	answer, err := s.handler.Call(stream.Context(), from, request.data)
	if err != nil {
		return err
	}
	return stream.SendMsg(&out{[][]byte{answer}})
}

func (s *Server) state(from uint64, stream grpc.ServerStream) error {
	err := s.handler.State(stream.Context(), from, func() ([]byte, error) {
		var piece in
		err := stream.RecvMsg(&piece)
		return piece.data, err
	})
	if err != nil {
		return status.Error(codes.Aborted, err.Error())
	}
	return stream.SendMsg(&out{})
}

func (s *Server) meet(_ any, stream grpc.ServerStream) error {
	from, _, err := identityOf(stream.Context())
	if err != nil {
		return err
	}
	if err := s.certified(stream.Context(), from); err != nil {
		return err
	}
	var request in
	if err := stream.RecvMsg(&request); err != nil {
		return err
	}
	answer, err := s.handler.Meet(from, request.data)
	if err != nil {
		return status.Error(codes.FailedPrecondition, err.Error())
	}
	return stream.SendMsg(&out{[][]byte{answer}})
}
