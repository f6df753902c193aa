package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.opentelemetry.io/otel"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/sheafdb/sheaf/client"
	"github.com/sheafdb/sheaf/internal/telemetry"
)

const (
	defaultAddr = "127.0.0.1:7450"
	// connectTimeout bounds the first look whether anybody listens.
	connectTimeout = 5 * time.Second
	// forEver is what --timeout 0 means.
	forEver = 10 * 365 * 24 * time.Hour
)

// connection is how a client command reaches its node.
type connection struct {
	addr     string
	insecure bool
	tlsCA    string
	tlsCert  string
	tlsKey   string
	timeout  time.Duration
}

// remote makes a command one that talks to a node: it adds the flags of the
// connection and calls run with the node. timeout is the default of --timeout.
func (a *app) remote(command *cobra.Command, timeout time.Duration, run func(context.Context, peer, []string) error) *cobra.Command {
	var c connection
	addr := defaultAddr
	if fromEnv := a.getenv("SHEAF_ADDR"); fromEnv != "" {
		addr = fromEnv
	}
	flags := command.Flags()
	flags.StringVar(&c.addr, "addr", addr, "host:port of the node's gRPC face, or of several nodes with commas between (SHEAF_ADDR)")
	flags.BoolVar(&c.insecure, "insecure", false, "speak plain text to an address that is not loopback")
	flags.StringVar(&c.tlsCA, "tls-ca", "", "PEM file of the authority to trust; the default is the system's")
	flags.StringVar(&c.tlsCert, "tls-cert", "", "PEM file of this client's certificate")
	flags.StringVar(&c.tlsKey, "tls-key", "", "PEM file of its private key")
	flags.DurationVar(&c.timeout, "timeout", timeout, "how long one call may take, with its retries; 0 is for ever")
	command.RunE = func(command *cobra.Command, args []string) error {
		if c.timeout < 0 {
			return fmt.Errorf("--timeout is %v: give it a duration above 0, or 0 to wait for ever", c.timeout)
		}
		ctx := command.Context()
		conn, stop, err := c.open(ctx)
		if err != nil {
			return err
		}
		defer stop()
		return run(ctx, peer{conn, c.timeout}, args)
	}
	return command
}

// peer is the node at the other end of the connection.
type peer struct {
	*client.Client
	timeout time.Duration
}

// bound gives one call its time; a command may make many.
func (p peer) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	if p.timeout > 0 {
		return context.WithTimeout(ctx, p.timeout)
	}
	return context.WithCancel(ctx)
}

// open looks whether anybody listens and builds the client. The look is there
// because the client itself waits for a node that is away for a moment: right
// for a program, and far too patient for a person who forgot to start one.
func (c connection) open(ctx context.Context) (*client.Client, func(), error) {
	options, err := c.options()
	if err != nil {
		return nil, nil, err
	}
	shutdown, err := telemetry.SetupTracing(ctx, currentVersion().Version)
	if err != nil {
		return nil, nil, err
	}
	if tracing() {
		options = append(options, client.WithTracerProvider(otel.GetTracerProvider()))
	}
	conn, err := client.New(c.addr, options...)
	if err != nil {
		return nil, nil, err
	}
	dialer := net.Dialer{Timeout: connectTimeout}
	if c.timeout > 0 {
		dialer.Timeout = min(c.timeout, connectTimeout)
	}
	if err := c.reachable(ctx, dialer); err != nil {
		_ = conn.Close()
		end := &exitError{code: exitUnreachable, err: fmt.Errorf("cannot reach %s: %w", c.addr, err)}
		var differs *mismatch
		if errors.As(err, &differs) {
			end.next = differs.next
		}
		return nil, nil, end
	}
	return conn, func() {
		_ = conn.Close()
		_ = shutdown(context.WithoutCancel(ctx))
	}, nil
}

// reachable is nil if somebody listens at one of the addresses, and may be a node.
func (c connection) reachable(ctx context.Context, dialer net.Dialer) error {
	var errs []error
	for addr := range strings.SplitSeq(c.addr, ",") {
		err := c.look(ctx, dialer, strings.TrimSpace(addr))
		if err == nil {
			return nil
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (c connection) options() ([]client.Option, error) {
	// What has no deadline of its own, as a stream of batches, has the same bound.
	options := []client.Option{client.WithTimeout(forEver)}
	if c.timeout > 0 {
		options[0] = client.WithTimeout(c.timeout)
	}
	if c.insecure {
		options = append(options, client.WithInsecure())
	}
	config, err := c.tlsConfig()
	if config != nil {
		options = append(options, client.WithTLS(config))
	}
	return options, err
}

// tlsConfig is what the flags say of TLS, nil if they say nothing.
func (c connection) tlsConfig() (*tls.Config, error) {
	if !c.secured() {
		return nil, nil //nolint:nilnil // nothing is said
	}
	config := &tls.Config{MinVersion: tls.VersionTLS13}
	if c.tlsCA != "" {
		pem, err := os.ReadFile(c.tlsCA)
		if err != nil {
			return nil, fmt.Errorf("--tls-ca: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("--tls-ca: %s holds no PEM certificate", c.tlsCA)
		}
	}
	if c.tlsCert != "" || c.tlsKey != "" {
		pair, err := tls.LoadX509KeyPair(c.tlsCert, c.tlsKey)
		if err != nil {
			return nil, fmt.Errorf("--tls-cert and --tls-key: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

// secured says whether flags ask for TLS.
func (c connection) secured() bool { return c.tlsCA != "" || c.tlsCert != "" || c.tlsKey != "" }

// tracing reports whether telemetry.SetupTracing found somewhere to send traces.
func tracing() bool {
	_, ok := otel.GetTracerProvider().(*sdktrace.TracerProvider)
	return ok
}
