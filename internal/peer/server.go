package peer

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"
)

// Handler is what a node does with what others send.
type Handler interface {
	// Admit says why a caller is refused, or nil; to is the node that he means to call.
	// It is asked once for each connection, but for those to meet.
	Admit(from Identity, to uint64) error
	// Frame takes a frame; it must not wait. It keeps the bytes.
	Frame(from uint64, frame []byte)
	// Call answers a call. It keeps the bytes. ctx ends when the caller has gone.
	Call(ctx context.Context, from uint64, request []byte) ([]byte, error)
	// State takes a state: the pieces in order until io.EOF, or the error that ended it.
	State(ctx context.Context, from uint64, next func() ([]byte, error)) error
	// Meet answers a node of a cluster that is being formed. Admit is not asked.
	Meet(from Identity, request []byte) ([]byte, error)
}

// maxStrangers bounds the connections that are not admitted. A further one waits to be
// accepted.
const maxStrangers = 128

// Server takes what other nodes send.
type Server struct {
	handler Handler
	tls     *tls.Config
	logger  *slog.Logger

	ctx  context.Context // until Stop
	stop context.CancelFunc
	// strangers has an element for each connection that is not admitted.
	strangers chan struct{}

	mu       sync.Mutex
	listener net.Listener
	conns    map[net.Conn]uint64 // the node at the other end, once it has said who it is
	lanes    map[laneOf]*laneIn
	stopped  bool
	toldAt   time.Time // see complain
	serving  sync.WaitGroup
}

// NewServer returns a server. tlsConfig, if not nil, must ask for the caller's certificate,
// one of whose names must be the node's; without it the network is trusted.
func NewServer(handler Handler, tlsConfig *tls.Config, logger *slog.Logger) *Server {
	s := &Server{
		handler: handler, tls: ownProtocol(tlsConfig), logger: logger,
		strangers: make(chan struct{}, maxStrangers),
		conns:     make(map[net.Conn]uint64), lanes: make(map[laneOf]*laneIn),
	}
	s.ctx, s.stop = context.WithCancel(context.Background())
	return s
}

// maxAcceptPause bounds the pause after a connection could not be accepted.
const maxAcceptPause = time.Second

// Serve serves until Stop, or until the listener is closed. It is called once.
func (s *Server) Serve(l net.Listener) error {
	defer l.Close()
	s.mu.Lock()
	s.listener = l
	stopped := s.stopped
	s.mu.Unlock()
	for pause := time.Duration(0); !stopped; {
		select {
		case s.strangers <- struct{}{}:
		case <-s.ctx.Done():
			return nil
		}
		raw, err := l.Accept()
		switch {
		case err == nil:
			pause = 0
			s.take(raw)
			continue
		case s.ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		}
		<-s.strangers
		pause = min(max(2*pause, 5*time.Millisecond), maxAcceptPause) // too many open files, mostly
		s.logger.Error("connection of another node cannot be accepted", "err", err)
		select {
		case <-time.After(pause):
		case <-s.ctx.Done():
		}
	}
	return nil
}

// take serves a connection, which has a place among the strangers.
func (s *Server) take(raw net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		_ = raw.Close()
		<-s.strangers
		return
	}
	s.conns[raw] = 0
	s.serving.Go(func() {
		s.serve(raw)
		_ = raw.Close()
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.conns, raw)
	})
}

// Stop ends everything that is at work, and returns when it has ended.
func (s *Server) Stop() {
	s.mu.Lock()
	s.stopped = true
	s.stop()
	if s.listener != nil {
		_ = s.listener.Close()
	}
	for raw := range s.conns {
		_ = raw.Close()
	}
	s.mu.Unlock()
	s.serving.Wait()
}

// Drop ends what a node that was admitted is at: whoever is not admitted any more has to ask
// anew.
func (s *Server) Drop(node uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for raw, from := range s.conns {
		if from == node {
			_ = raw.Close()
		}
	}
}

// note says whose a connection is. It comes before the question whether he is admitted, so that
// a Drop after which he is not finds him, or he is refused.
func (s *Server) note(raw net.Conn, node uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns[raw] = node
}

// serve admits a caller and does what he came for.
func (s *Server) serve(raw net.Conn) {
	c, g, err := s.greet(raw)
	if err == nil && g.Purpose == forMeet { // he stays a stranger
		err = s.meet(c, g.identity())
	}
	<-s.strangers
	if err != nil {
		s.complain(raw, err)
		return
	}
	switch g.Purpose {
	case forUrgent, forBulk:
		err = s.serveLane(c, g)
	case forCalls:
		err = s.serveCalls(c, g.ID)
	case forState:
		err = s.serveState(c, g.ID)
	case forMeet:
	}
	s.ended(g, err)
}

// complainEvery bounds how often a stranger is worth a line.
const complainEvery = 10 * time.Second

// complain says why a stranger was turned away. Whom the handler refused says so himself.
func (s *Server) complain(raw net.Conn, err error) {
	var refused *RefusedError
	if s.ctx.Err() != nil || errors.As(err, &refused) && (refused.Code == codeAdmission || refused.Code == CodeRemoved || refused.Code == CodeForming) {
		return
	}
	s.mu.Lock()
	now := time.Now()
	tell := now.Sub(s.toldAt) >= complainEvery
	if tell {
		s.toldAt = now
	}
	s.mu.Unlock()
	if tell {
		s.logger.Warn("connection to the nodes' own port turned away", "addr", raw.RemoteAddr(), "err", err)
	}
}

// ended says why the connection of another node ended, if somebody should look.
func (s *Server) ended(g greeting, err error) {
	log := s.logger.With("node", g.ID, "purpose", g.Purpose)
	switch {
	case errors.Is(err, errBroken):
		log.Error("connection of another node was ended", "err", err)
	case err == nil || hungUp(err) || s.ctx.Err() != nil || late(err) && g.Purpose == forCalls:
		log.Debug("connection of another node ended", "err", err)
	default:
		log.Warn("connection of another node was ended", "err", err)
	}
}
