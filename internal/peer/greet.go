package peer

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"net"
	"slices"
	"time"
)

// greet takes a caller's greeting and answers it. An error means that he was not admitted.
func (s *Server) greet(raw net.Conn) (*conn, greeting, error) {
	if tcp, ok := raw.(*net.TCPConn); ok {
		_ = tcp.SetKeepAliveConfig(keepAlive) // without it a caller who is gone is noticed later
	}
	if err := raw.SetDeadline(time.Now().Add(greetTime)); err != nil {
		return nil, greeting{}, err
	}
	stream := raw
	var secured *tls.Conn
	if s.tls != nil {
		secured = tls.Server(raw, s.tls)
		if err := secured.HandshakeContext(s.ctx); err != nil {
			return nil, greeting{}, err
		}
		stream = secured
	}
	c := newConn(raw, stream)
	data, err := c.frames.read()
	if err != nil {
		return nil, greeting{}, err // whoever speaks like that does not read our frames
	}
	g, refused := parseGreeting(data)
	if refused == nil {
		refused = certified(secured, g.Name)
	}
	if refused == nil && g.Purpose != forMeet {
		s.note(raw, g.ID)
		if err := s.handler.Admit(g.identity(), g.To); err != nil && !errors.As(err, &refused) {
			refused = refuse(codeAdmission, "%v", err)
		}
	}
	if refused != nil {
		if text, err := json.Marshal(refused); err == nil {
			_ = c.send(text) // he is turned away in any case
		}
		return nil, g, refused
	}
	if err := c.send(); err != nil {
		return nil, g, err
	}
	if g.Purpose == forMeet {
		return c, g, nil
	}
	return c, g, c.admitted()
}

// certified compares the caller's name with his certificate's names.
func certified(secured *tls.Conn, name string) *RefusedError {
	if secured == nil {
		return nil
	}
	chains := secured.ConnectionState().VerifiedChains
	if len(chains) == 0 || !slices.Contains(chains[0][0].DNSNames, name) {
		return refuse(codeCertificate, "the caller calls itself %.200q, and its certificate does not have that name", name)
	}
	return nil
}

// meet answers one request, within the limits of a greeting.
func (s *Server) meet(c *conn, from Identity) error {
	request, err := c.frames.read()
	if err != nil {
		if hungUp(err) {
			return nil
		}
		return err
	}
	answer, err := s.handler.Meet(from, request)
	return c.answer(nil, answer, err)
}

// answer sends what a handler said, behind number.
func (c *conn) answer(number, answer []byte, err error) error {
	if err == nil && len(answer) > maxFrameBytes-numberBytes-1 {
		err = errors.New("the answer is too large")
	}
	if err != nil {
		return c.send(number, []byte{answerFailed}, []byte(err.Error()))
	}
	return c.send(number, []byte{answerDone}, answer)
}
