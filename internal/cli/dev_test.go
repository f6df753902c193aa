package cli

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/client"
	"github.com/sheafdb/sheaf/internal/freeport"
)

// TestDevLeavesNothingBehind: a cluster for trying things serves, and is gone afterwards.
func TestDevLeavesNothingBehind(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	port := freePort(t)
	out, in := io.Pipe()
	a := &app{stdout: in, stderr: io.Discard, doomed: new(atomic.Pointer[string])}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- a.dev(ctx, throwaway{nodes: 3, groups: 2, store: "memory", basePort: port, level: "error"})
	}()
	var addrs []string
	for lines := bufio.NewScanner(out); len(addrs) < 3; {
		if !lines.Scan() {
			t.Fatal("it did not say where its nodes are")
		}
		if _, rest, ok := strings.Cut(lines.Text(), "grpc "); ok {
			addr, _, _ := strings.Cut(rest, " ")
			addrs = append(addrs, addr)
		}
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	for i, addr := range addrs {
		c, err := client.New(addr)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.PutAll(ctx, []sheaf.Entry{sheaf.Put("a", strconv.Itoa(i)), sheaf.Put("b", "x"), sheaf.Put("c", "y")}); err != nil {
			t.Errorf("%s: %v", addr, err)
		}
		_ = c.Close()
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if left, err := filepath.Glob(filepath.Join(os.TempDir(), "*")); err != nil || len(left) > 0 {
		t.Errorf("%v was left behind (%v)", left, err)
	}
}

// TestDevLeavesNothingBehindAtOnce: not when a second signal ends it amid its drain either.
func TestDevLeavesNothingBehindAtOnce(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cmd := &exec.Cmd{
		Path: exe, Args: []string{"sheaf", "dev", "--base-port", strconv.Itoa(freePort(t))},
		Env: append(os.Environ(), "TMPDIR="+dir, "GORACE=atexit_sleep_ms=0"), Stderr: os.Stderr,
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	lines := bufio.NewScanner(stdout)
	if !lines.Scan() {
		t.Fatal("it did not say where its node is")
	}
	fields := strings.Fields(lines.Text()) // n1  grpc …  http …  admin …
	if made, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(made) != 1 {
		t.Fatalf("%v is where the data is (%v)", made, err)
	}
	// A request whose body does not come keeps the node draining. That the server goes on to read the body
	// says that the request is at work, which bytes in a socket are not.
	conn, err := net.Dial("tcp", fields[4])
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "PUT /v1/keys/a HTTP/1.1\r\nHost: sheaf\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || line != "HTTP/1.1 100 Continue\r\n" {
		t.Fatalf("%q, want to be told to go on (%v)", line, err)
	}
	for signals := range 2 {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		for signals == 0 && ready(t, fields[6]) {
		}
	}
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != exitInterrupted {
		t.Errorf("exit code %d, want %d: the second signal did not come amid the drain", code, exitInterrupted)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(left) > 0 {
		t.Errorf("%v was left behind (%v)", left, err)
	}
}

// ready asks a node at its admin address.
func ready(t *testing.T, admin string) bool {
	t.Helper()
	resp, err := http.Get("http://" + admin + "/readyz")
	if err != nil {
		return false
	}
	_ = resp.Body.Close() // the status is all
	return resp.StatusCode == http.StatusOK
}

// freePort is the first of the ports of a cluster.
func freePort(t *testing.T) int {
	t.Helper()
	_, text, err := net.SplitHostPort(freeport.Addr(t))
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// TestDevNamesTheFlagOfItsPorts, and not one that it does not have.
func TestDevNamesTheFlagOfItsPorts(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	a := &app{stdout: io.Discard, stderr: io.Discard, doomed: new(atomic.Pointer[string])}
	for port := range 4 { // as gRPC, HTTP, admin and peers' port
		base := l.Addr().(*net.TCPAddr).Port - port
		err := a.dev(t.Context(), throwaway{nodes: 1, groups: 1, store: "memory", basePort: base, level: "error"})
		if err == nil || !strings.Contains(err.Error(), "--base-port") || strings.Contains(err.Error(), "-addr") {
			t.Errorf("with port %d of the node taken: %v", port, err)
		}
	}
}
