package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/sheafdb/sheaf"
)

// serveCommand and a contestant's name make this program a server.
const serveCommand = "serve"

// serve is the child: it serves one contestant and its meters on loopback, prints
// both addresses in one line, and ends when its standard input does, which is
// when its parent has gone.
func serve(name string) error {
	server, stop, err := newServer(name)
	if err != nil {
		return err
	}
	defer stop()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	admin, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/meters", func(w http.ResponseWriter, _ *http.Request) {
		m, err := readMeters()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_ = json.NewEncoder(w).Encode(m) // the parent sees what is missing
	})
	failed := make(chan error, 2)
	go func() { failed <- server.Serve(listener) }()
	go func() { failed <- http.Serve(admin, mux) }() //nolint:gosec // loopback, and as long as its parent
	fmt.Println(listener.Addr(), admin.Addr())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		failed <- nil
	}()
	err = <-failed
	server.Stop()
	return err
}

// child is a contestant at work, and the one connection to it.
type child struct {
	name    string
	process *exec.Cmd
	stdin   io.Closer // its end is the child's
	conn    *grpc.ClientConn
	meters  string // URL
}

func startChild(ctx context.Context, name string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := &child{name: name, process: exec.CommandContext(ctx, self, serveCommand, name)}
	c.process.Stderr = os.Stderr
	// Its own process group keeps the terminal's Ctrl-C away from it.
	c.process.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if c.stdin, err = c.process.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := c.process.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.process.Start(); err != nil {
		return nil, err
	}
	if err := c.connect(stdout); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

// connect waits for the child's addresses. A child that fails closes its output.
func (c *child) connect(stdout io.Reader) error {
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		return fmt.Errorf("the server did not say where it is: %w", err)
	}
	addr, admin, ok := strings.Cut(strings.TrimSpace(line), " ")
	if !ok {
		return fmt.Errorf("the server did not say where it is: %q", line)
	}
	c.meters = "http://" + admin + "/meters"
	fmt.Fprintf(os.Stderr, "%s is process %d, profiles at http://%s/debug/pprof/\n", c.name, c.process.Process.Pid, admin)
	c.conn, err = dial(addr)
	return err
}

// dial connects as the public client does to a loopback host.
func dial(addr string) (*grpc.ClientConn, error) {
	return grpc.NewClient(addr,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(codec{}), grpc.MaxCallRecvMsgSize(2*sheaf.DefaultLimits().BatchBytes)),
		grpc.WithDisableRetry(),
		grpc.WithDisableServiceConfig(),
	)
}

// used reads the child's meters.
func (c *child) used(ctx context.Context) (m meters, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.meters, nil)
	if err != nil {
		return m, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return m, err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return m, fmt.Errorf("read the server's meters: %s", response.Status)
	}
	return m, json.NewDecoder(response.Body).Decode(&m)
}

func (c *child) close() error {
	var errs []error
	if c.conn != nil {
		errs = append(errs, c.conn.Close())
	}
	return errors.Join(append(errs, c.stdin.Close(), c.process.Wait())...)
}
