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

// Served is a Sheaf server, or a cluster of them, and a client of the one that leads.
// All callers share the client, as its documentation advises.
type Served struct {
	Servers
	nodes  []node
	leader int // of nodes
	client *client.Client
	level  sheaf.Consistency
}

// node is where a server is.
type node struct{ grpc, admin string }

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
	process, err := StartProcess(ctx, a.serve(dir, store))
	if err != nil {
		return nil, err
	}
	line, err := process.FirstLine(timeout)
	return connected(ctx, &Served{Servers: process, level: level}, []string{line}, err)
}

// serve is the command of a server on free ports.
func (a *Arena) serve(dir, store string, flags ...string) *exec.Cmd {
	return exec.Command(a.Server, append([]string{
		"serve", "--data-dir", dir, "--store", store, "--logging-level", "warn",
		"--grpc-addr", "127.0.0.1:0", "--http-addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0",
	}, flags...)...)
}

// connected finds out where the servers are from their first lines, unless there was
// an error, and connects to the one that leads.
func connected(ctx context.Context, s *Served, lines []string, err error) (*Served, error) {
	for _, line := range lines {
		n := node{announced(line, "grpc"), announced(line, "admin")}
		if n.grpc == "" && err == nil {
			err = fmt.Errorf("the server did not say where it is: %q", line)
		}
		s.nodes = append(s.nodes, n)
	}
	if err == nil {
		for i, pid := range s.PIDs() {
			fmt.Fprintf(os.Stderr, "server %d, profiles at http://%s/debug/pprof/\n", pid, s.nodes[i].admin)
		}
		err = s.FindLeader(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
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

// Addr is where clients reach the server that leads.
func (s *Served) Addr() string { return s.nodes[s.leader].grpc }

// Admin is the address of the administrative pages of the server that leads.
func (s *Served) Admin() string { return s.nodes[s.leader].admin }

// Close kills the processes: their directories go too, so there is nothing to save.
func (s *Served) Close() error {
	var err error
	if s.client != nil {
		err = s.client.Close()
	}
	s.Kill()
	return err
}
