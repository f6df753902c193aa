package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sheafdb/sheaf/internal/config"
	"github.com/sheafdb/sheaf/internal/node"
	"github.com/sheafdb/sheaf/internal/telemetry"
)

// tracesTimeout bounds how long the end of a node waits for its last traces.
const tracesTimeout = time.Second

func (a *app) serveCommand() *cobra.Command {
	command := &cobra.Command{
		Use:   "serve",
		Short: "run a node",
		Long: `Run a node until SIGINT or SIGTERM, which drain it: requests at work are finished,
everything is made durable, and the exit code is 0. A second signal ends it at
once; nothing that was acknowledged is lost then either.

When the node is ready, one line on standard output says so, with its version,
addresses, data directory and store. Logs go to standard error.

Each setting can also come from the environment or a file: see "sheaf config
show" and docs/configuration.md. OTEL_EXPORTER_OTLP_ENDPOINT turns on traces.`,
		Example: `  sheaf serve
  sheaf serve --data-dir /var/lib/sheaf --store memory
  sheaf serve --config sheaf.yaml --grpc-addr :7450 --tls-cert server.pem --tls-key server.key`,
		GroupID: groupNode,
		Args:    cobra.NoArgs,
	}
	file := a.configFlags(command)
	command.RunE = func(command *cobra.Command, _ []string) error {
		c, _, err := a.loadConfig(command, *file)
		if err != nil {
			return err
		}
		if err := c.Validate(); err != nil {
			return badConfig(err)
		}
		return a.serve(command.Context(), c)
	}
	return command
}

// serve runs a node until ctx ends, and then drains it.
func (a *app) serve(ctx context.Context, c config.Config) error {
	version := currentVersion().Version
	logger, err := telemetry.NewLogger(a.stderr, c.Logging.Level, c.Logging.Format)
	if err != nil {
		return err
	}
	shutdown, err := telemetry.SetupTracing(ctx, version)
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tracesTimeout)
		defer cancel()
		if err := shutdown(ctx); err != nil {
			logger.Warn("the last traces were not sent", "err", err)
		}
	}()
	tuneCollector(c.Store)
	n, err := node.Start(ctx, c, node.Options{Version: version, Logger: logger, Tracing: tracing()})
	if err != nil {
		return cannotStart(ctx, err)
	}
	a.announce(n, c, version)
	select {
	case <-n.Done():
		return hasFailed(n.Err())
	case <-ctx.Done():
	}
	logger.Info("draining; a second signal ends the process at once")
	// The node bounds the wait by drain_timeout.
	if err := n.Stop(context.WithoutCancel(ctx)); err != nil {
		return &exitError{
			code: exitDamaged, err: fmt.Errorf("the node did not stop in good order: %w", err),
			next: "start it again: what was acknowledged is on disk",
		}
	}
	logger.Info("stopped")
	return nil
}

// hasFailed is the end of a node that could not go on.
func hasFailed(err error) error {
	end := &exitError{
		code: exitDamaged, err: fmt.Errorf("the node failed: %w", err),
		next: "see the log above; start it again when the cause is gone: what was acknowledged is on disk",
	}
	if node.Damaged(err) {
		end.next = "do not start it again on these files, and do not delete them yet: follow the advice above"
	}
	return end
}

// cannotStart tells damaged data from what a person can correct right away.
func cannotStart(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return &exitError{code: exitInterrupted, next: "start the node again", err: fmt.Errorf("interrupted before the node was ready: %w", err)}
	}
	end := &exitError{code: exitUsage, next: `correct that and start again; "sheaf serve --help" lists the flags`, err: err}
	if node.Damaged(err) || exitCode(err) == exitDamaged {
		end.code = exitDamaged
		end.next = "do not delete anything yet: keep a copy of the data directory, then follow the advice above"
	}
	return end
}

// announce prints where the node is, and one command to try.
func (a *app) announce(n *node.Node, c config.Config, version string) {
	grpc, http, admin := n.Addrs()
	paint := a.paint(a.stdout)
	fmt.Fprintf(a.stdout, "%s  grpc %s  http %s  admin %s  data %s  store %s\n",
		paint.bold("sheaf "+version+" ready"), grpc, http, admin, n.DataDir(), n.Store())
	program := programName(os.Args[0])
	flags := ""
	if grpc != defaultAddr {
		flags = " --addr " + dialable(grpc)
	}
	if c.TLS.Cert != "" {
		flags += " --tls-ca " + shellQuote(c.TLS.Cert)
	} else if c.PlainOnTheNetwork() {
		flags += " --insecure"
	}
	fmt.Fprintf(a.stdout, "%s %s put hello world%s && %s get hello%s\n", paint.dim("try:"), program, flags, program, flags)
}

// dialable is an address to dial for one to listen on: "all addresses" is none.
func dialable(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if ip := net.ParseIP(host); err == nil && ip != nil && ip.IsUnspecified() {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return addr
}

// programName is how this program is called: path, unless `go run` built it into
// a directory of its own, where nobody will find it.
func programName(path string) string {
	for part := range strings.SplitSeq(filepath.ToSlash(path), "/") {
		if strings.HasPrefix(part, "go-build") {
			return "go run ./cmd/sheaf"
		}
	}
	return path
}
