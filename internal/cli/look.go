package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"time"
)

// lookTime bounds how long a node may take to say its first bytes. One that is slower is
// left to the client, which is more patient.
const lookTime = time.Second

// What HTTP/2 begins with, and gRPC is carried by (RFC 9113, sections 3.4 and 4.1): the
// preface and a SETTINGS frame without settings.
const (
	http2Begins = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + "\x00\x00\x00\x04\x00\x00\x00\x00\x00"
	http2Name   = "h2" // in TLS
	tlsAlert    = 21   // first byte of a record of TLS that is an alert
)

// mismatch is that the two ends of a connection do not speak the same, which no retry mends.
type mismatch struct {
	err  error
	next string
}

func (m *mismatch) Error() string { return m.err.Error() }
func (m *mismatch) Unwrap() error { return m.err }

// look dials one address and begins to speak with whoever listens, as far as it takes to
// see whether both ends want the same of TLS. It fails only if it is certain that the client
// will fail too. The client alone would say so late, or in the words of its options.
func (c connection) look(ctx context.Context, dialer net.Dialer, addr string) error {
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(min(lookTime, dialer.Timeout))) // of a socket that is open
	config, err := c.tlsConfig()
	switch {
	case err != nil:
		return err
	case config != nil || !c.insecure && !loopback(addr):
		return c.lookSecured(ctx, conn, config, addr)
	}
	return lookPlain(ctx, dialer, conn, addr)
}

// lookSecured shakes hands, and waits for what the node says first: that it does not take
// this client's certificate, it says only after the handshake.
func (c connection) lookSecured(ctx context.Context, conn net.Conn, config *tls.Config, addr string) error {
	if config == nil {
		config = &tls.Config{MinVersion: tls.VersionTLS13}
	}
	config.ServerName, _, _ = net.SplitHostPort(addr)
	config.NextProtos = []string{http2Name}
	secured := tls.Client(conn, config)
	err := secured.HandshakeContext(ctx)
	if err == nil {
		_, err = secured.Read(make([]byte, 1))
	}
	if next := c.nextOf(err); next != "" {
		return &mismatch{err, next}
	}
	return nil
}

// nextOf says what to do about a handshake, or nothing if that cannot be told.
func (c connection) nextOf(err error) string {
	var notTLS tls.RecordHeaderError
	var otherName x509.HostnameError
	var invalid x509.CertificateInvalidError
	var unverified *tls.CertificateVerificationError
	var alert *net.OpError
	switch {
	case errors.As(err, &notTLS) && c.secured():
		return "the node speaks plain text: leave the --tls flags out (with --insecure if it is not on this machine), or give the node a certificate"
	case errors.As(err, &notTLS):
		return "the node speaks plain text: give it a certificate (sheaf serve --tls-cert --tls-key), or use --insecure if everyone on the path may read and change the data"
	case errors.As(err, &otherName):
		return "the node's certificate is for other names: put one of those into --addr, or give the node a certificate for this one"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "the node's certificate is not valid at this time: renew it (a node reads it again by itself), or set this machine's clock"
	case errors.As(err, &unverified):
		return "give --tls-ca FILE, the certificate of the authority that signed the node's"
	case !errors.As(err, &alert) || alert.Op != "remote error": // so crypto/tls marks what the peer says
		return ""
	case c.tlsCert != "" && strings.Contains(alert.Error(), "certificate"):
		// A certificate is not even sent if the node asks for other authorities.
		return "the node does not take this client's certificate: give --tls-cert and --tls-key whose authority the node knows (its --tls-client-ca)"
	case strings.Contains(alert.Error(), "certificate required"):
		return "the node wants a certificate of its clients: give --tls-cert and --tls-key"
	}
	return "the node refuses the handshake: it must speak TLS 1.3, and may want a certificate (--tls-cert and --tls-key)"
}

// lookPlain begins HTTP/2 in plain text. A node that wants TLS hangs up; if it then takes a
// handshake, there is no doubt.
func lookPlain(ctx context.Context, dialer net.Dialer, conn net.Conn, addr string) error {
	if _, err := io.WriteString(conn, http2Begins); err != nil {
		return nil
	}
	first := make([]byte, len("HTTP/1"))
	switch _, err := io.ReadFull(conn, first); {
	case err == nil && string(first) == "HTTP/1":
		return &mismatch{
			errors.New("it speaks HTTP/1, not gRPC"),
			"--addr (SHEAF_ADDR) wants the address of the node's gRPC face, not of HTTP",
		}
	case err == nil && first[0] == tlsAlert, hungUp(err): // TLS, it seems
	default:
		return nil
	}
	again, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil
	}
	defer again.Close()
	_ = again.SetDeadline(time.Now().Add(min(lookTime, dialer.Timeout)))             // as above
	config := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{http2Name}} //nolint:gosec // nothing is said
	err = tls.Client(again, config).HandshakeContext(ctx)
	var alert *net.OpError
	if err != nil && (!errors.As(err, &alert) || alert.Op != "remote error") {
		return nil
	}
	return &mismatch{
		errors.New("the node speaks TLS, and this client plain text"),
		"give --tls-ca FILE, the certificate of the authority that signed the node's, and leave --insecure out",
	}
}

// hungUp says whether the other end has closed the connection.
func hungUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET)
}

// loopback is what the client takes for this machine, to which it speaks plain text unless told.
func loopback(addr string) bool {
	host, _, _ := net.SplitHostPort(addr)
	ip := net.ParseIP(host)
	return host == "" || host == "localhost" || ip != nil && ip.IsLoopback()
}
