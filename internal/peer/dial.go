package peer

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"net"
	"time"
)

// dial opens a connection and is admitted: before that nothing is sent but the greeting.
func (r *remote) dial(ctx context.Context, what purpose) (*conn, error) {
	c, err := r.open(ctx, what)
	if refused, ok := err.(*RefusedError); ok { //nolint:errorlint // as parseVerdict returns it
		return nil, refused
	}
	if err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, &NotSentError{err}
	}
	return c, nil
}

func (r *remote) open(ctx context.Context, what purpose) (*conn, error) {
	raw, err := r.client.connect(ctx, r.addr)
	if err != nil {
		return nil, err
	}
	c, err := r.greet(ctx, raw, what)
	if err != nil {
		_ = raw.Close()
		return nil, err
	}
	return c, nil
}

// greet says who this node is, and hears whether it is admitted.
func (r *remote) greet(ctx context.Context, raw net.Conn, what purpose) (*conn, error) {
	stop := context.AfterFunc(ctx, func() { _ = raw.Close() })
	defer stop()
	if err := raw.SetDeadline(time.Now().Add(greetTime)); err != nil {
		return nil, err
	}
	stream := raw
	if r.client.tls != nil {
		config := r.client.tls.Clone()
		config.ServerName = r.name // whoever answers there must be this node
		secured := tls.Client(raw, config)
		if err := secured.HandshakeContext(ctx); err != nil {
			return nil, err
		}
		stream = secured
	}
	c := newConn(raw, stream)
	hello, err := json.Marshal(greetingOf(r.client.self(), r.id, what))
	if err != nil {
		return nil, err
	}
	if err := c.send(hello); err != nil {
		return nil, err
	}
	verdict, err := c.frames.read()
	if err != nil {
		return nil, err
	}
	if err := parseVerdict(verdict); err != nil {
		return nil, err
	}
	if !stop() {
		return nil, ctx.Err()
	}
	return c, c.admitted()
}

// lasting ends with ctx, and with the node.
func (r *remote) lasting(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(r.ctx, cancel)
	return ctx, func() { stop(); cancel() }
}
