package contest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/client"
)

// BuildServer compiles the server of the tree around this module, with the
// tree's own go.mod, into dir, and returns its path.
func BuildServer(ctx context.Context, dir string) (string, error) {
	list := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/sheafdb/sheaf")
	var complaint bytes.Buffer
	list.Stderr = &complaint
	tree, err := list.Output()
	if err != nil {
		return "", fmt.Errorf("find the tree (run this inside the bench module: go -C bench run ...): %w: %s", err, complaint.String())
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

// Served is a Sheaf server and a client of it. All callers share the client, as
// its documentation advises.
type Served struct {
	*Process
	client *client.Client
	level  sheaf.Consistency
	admin  string
}

// Sheaf returns what starts a server with this store and its defaults, on free
// ports, and writes at this level.
func Sheaf(store string, level sheaf.Consistency) Start {
	return func(ctx context.Context, a *Arena, dir string) (Contestant, error) {
		return ServeSheaf(ctx, a, dir, store, level, startTimeout)
	}
}

// ServeSheaf is Sheaf for a directory that may hold data: replaying its log may
// take as long as timeout.
func ServeSheaf(ctx context.Context, a *Arena, dir, store string, level sheaf.Consistency, timeout time.Duration) (*Served, error) {
	process, err := StartProcess(ctx, exec.Command(a.Server, "serve", "--data-dir", dir, "--store", store, "--logging-level", "warn",
		"--grpc-addr", "127.0.0.1:0", "--http-addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0"))
	if err != nil {
		return nil, err
	}
	s := &Served{Process: process, level: level}
	if err := s.connect(timeout); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Served) connect(timeout time.Duration) error {
	line, err := s.FirstLine(timeout)
	if err != nil {
		return err
	}
	addr := announced(line, "grpc")
	if addr == "" {
		return fmt.Errorf("the server did not say where it is: %q", line)
	}
	s.admin = announced(line, "admin")
	fmt.Fprintf(os.Stderr, "server %d, profiles at http://%s/debug/pprof/\n", s.PID(), s.admin)
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

// Write encodes the entries anew each time: that is part of the work.
func (s *Served) Write(entries []sheaf.Entry) (retries int, err error) {
	result, err := s.client.PutAll(s.Alive(), entries, client.At(s.level))
	if s.Alive().Err() != nil {
		err = context.Cause(s.Alive())
	}
	return max(result.Attempts-1, 0), err
}

// Get reads one key at level LINEARIZABLE; nil is one that is not there.
func (s *Served) Get(ctx context.Context, key []byte) ([]byte, error) {
	item, err := s.client.Get(ctx, key)
	if errors.Is(err, sheaf.NotFound) {
		return nil, nil
	}
	return item.Value, err
}

// Admin is the address of the server's administrative pages.
func (s *Served) Admin() string { return s.admin }

// Close kills the process: its directory goes too, so there is nothing to save.
func (s *Served) Close() error {
	var err error
	if s.client != nil {
		err = s.client.Close()
	}
	s.Kill()
	return err
}
