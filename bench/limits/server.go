package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/client"
)

// startTimeout is how long a server on an empty directory may take to be ready.
const startTimeout = 30 * time.Second

// buildServer compiles the server of the tree, with the tree's own go.mod, and
// returns its path.
func buildServer(ctx context.Context, dir string) (string, error) {
	list := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/sheafdb/sheaf")
	var complaint bytes.Buffer
	list.Stderr = &complaint
	tree, err := list.Output()
	if err != nil {
		return "", fmt.Errorf("find the tree (run this as: go -C bench run ./limits): %w: %s", err, complaint.String())
	}
	program, err := filepath.Abs(filepath.Join(dir, "sheaf"))
	if err != nil {
		return "", err
	}
	build := exec.CommandContext(ctx, "go", "build", "-C", strings.TrimSpace(string(tree)), "-o", program, "./cmd/sheaf")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the server: %w\n%s", err, out)
	}
	return program, nil
}

// served is a server process and a client of it. All callers share the client,
// as its documentation advises.
type served struct {
	process *exec.Cmd
	client  *client.Client
	// alive ends with the process, so that no call waits for one that is gone.
	alive context.Context
	ended chan struct{} // closed when the process was waited for
}

// serveStore returns what starts a server with this store and its defaults, on
// free ports.
func serveStore(store string) func(context.Context, *arena, string) (contestant, error) {
	return func(ctx context.Context, a *arena, dir string) (contestant, error) {
		process := exec.Command(a.server, "serve", "--data-dir", dir, "--store", store, "--logging-level", "warn",
			"--grpc-addr", "127.0.0.1:0", "--http-addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0")
		process.Stderr = os.Stderr
		// Its own process group keeps the terminal's Ctrl-C away from it: this
		// process ends it, or the kernel does if this one is killed.
		process.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
		stdout, err := process.StdoutPipe()
		if err != nil {
			return nil, err
		}
		if err := process.Start(); err != nil {
			return nil, err
		}
		alive, cancel := context.WithCancelCause(ctx)
		s := &served{process: process, alive: alive, ended: make(chan struct{})}
		ready := make(chan string, 1)
		go func() {
			defer close(s.ended)
			out := bufio.NewReader(stdout)
			line, _ := out.ReadString('\n')
			ready <- line
			_, _ = io.Copy(io.Discard, out) // until the process closes it
			_ = process.Wait()              // its error says less than the state
			cancel(fmt.Errorf("the server ended: %v", process.ProcessState))
		}()
		if err := s.connect(ready); err != nil {
			return nil, errors.Join(err, s.close())
		}
		return s, nil
	}
}

func (s *served) connect(ready <-chan string) error {
	var line string
	select {
	case line = <-ready:
	case <-time.After(startTimeout):
		return fmt.Errorf("the server was not ready after %v", startTimeout)
	case <-s.alive.Done():
		return context.Cause(s.alive)
	}
	addr, admin := announced(line, "grpc"), announced(line, "admin")
	if addr == "" {
		return fmt.Errorf("the server did not say where it is: %q", line)
	}
	fmt.Fprintf(os.Stderr, "server %d, profiles at http://%s/debug/pprof/\n", s.pid(), admin)
	var err error
	s.client, err = client.New(addr)
	return err
}

// announced returns the word after name in the line that says a server is ready.
func announced(line, name string) string {
	words := strings.Fields(line)
	for i := range len(words) - 1 {
		if words[i] == name {
			return words[i+1]
		}
	}
	return ""
}

// write encodes the entries anew each time: that is part of the work.
func (s *served) write(entries []sheaf.Entry) (retries int, err error) {
	result, err := s.client.PutAll(s.alive, entries)
	if s.alive.Err() != nil {
		err = context.Cause(s.alive)
	}
	return result.Attempts - 1, err
}

func (s *served) pid() int { return s.process.Process.Pid }

// close kills the process: its directory goes too, so there is nothing to save.
func (s *served) close() error {
	var err error
	if s.client != nil {
		err = s.client.Close()
	}
	_ = s.process.Process.Kill() // it may have ended by itself
	<-s.ended
	return err
}
