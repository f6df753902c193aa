package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync/atomic"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

// credentials chooses between plain text and TLS for addr. The handshake is nil
// on plain text.
func (o *options) credentials(addr string) (credentials.TransportCredentials, *handshake, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil || port == "" {
		return nil, nil, errors.New(`the address must be host:port, such as "localhost:7450" or "[::1]:7450"`)
	}
	if o.insecure || (o.tls == nil && isLoopback(host)) {
		return insecure.NewCredentials(), nil, nil
	}
	config := o.tls
	if config == nil {
		config = &tls.Config{}
	}
	if config.MaxVersion != 0 && config.MaxVersion < tls.VersionTLS13 {
		return nil, nil, errors.New("the TLS configuration excludes TLS 1.3: leave its MaxVersion at 0")
	}
	config.MinVersion = tls.VersionTLS13
	h := &handshake{TransportCredentials: credentials.NewTLS(config), failure: new(atomic.Pointer[error])}
	return h, h, nil
}

// isLoopback reports whether host can only be this machine. No name but
// localhost is looked up: what a name resolves to may change after the check.
func isLoopback(host string) bool {
	if host == "" || host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// handshake is TLS that keeps why it last failed for good. gRPC reports such a
// failure like a node that is down for a moment, and a call would retry until
// its deadline what only a change of configuration can mend.
type handshake struct {
	credentials.TransportCredentials
	// failure is nil after a handshake that succeeded. Clones share it.
	failure *atomic.Pointer[error]
}

// ClientHandshake adds what to do to an error that retrying does not mend.
func (h *handshake) ClientHandshake(ctx context.Context, authority string, conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	secured, info, err := h.TransportCredentials.ClientHandshake(ctx, authority, conn)
	var notTLS tls.RecordHeaderError
	var badCertificate *tls.CertificateVerificationError
	var alert *net.OpError
	switch {
	case err == nil:
		h.failure.Store(nil)
		return secured, info, nil
	case errors.As(err, &notTLS):
		err = fmt.Errorf("%w: the node does not speak TLS: give it a certificate, or use WithInsecure if everyone on the path may read and change the data", err)
	case errors.As(err, &badCertificate):
		err = fmt.Errorf("%w: the node's certificate is not trusted: give its authority in WithTLS(&tls.Config{RootCAs: …})", err)
	case errors.As(err, &alert) && alert.Op == "remote error": // so crypto/tls marks an alert of the peer
		err = fmt.Errorf("%w: the node refused the handshake: it must speak TLS 1.3, and may want a client certificate (WithTLS)", err)
	default:
		return nil, nil, err
	}
	h.failure.Store(&err)
	return nil, nil, err
}

// Clone is called by gRPC once per connection.
func (h *handshake) Clone() credentials.TransportCredentials {
	return &handshake{TransportCredentials: h.TransportCredentials.Clone(), failure: h.failure}
}

// failed returns why no retry can connect, or nil.
func (h *handshake) failed() error {
	if h == nil {
		return nil
	}
	if err := h.failure.Load(); err != nil {
		return *err
	}
	return nil
}
