package crashtest

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/sheafdb/sheaf/internal/config"
	"github.com/sheafdb/sheaf/internal/node"
)

// inMemory is the data directory on a file system in memory. It has a parent
// that nobody has made yet, as the directory of a first start may.
const inMemory = "/var/node"

// stores are those that promise durability. syncmap shares the memory store's files.
var stores = []string{"pebble", "memory"}

const mib = 1 << 20

// settings are those of a node that flushes, rolls and cuts after little.
func settings(dir, store string) config.Config {
	cfg := config.Default()
	cfg.DataDir, cfg.Store = dir, store
	cfg.GRPCAddr, cfg.HTTPAddr, cfg.AdminAddr = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	cfg.Log.MaxBytes = 2 * mib
	cfg.Disk.BallastBytes = mib
	cfg.Pebble.CacheBytes = 4 * mib
	return cfg
}

// inner is a node in this process.
type inner struct {
	*node.Node
	log *transcript
	// running is the node until it has ended. The end of the test has this and not the node:
	// some tests start hundreds, with all of their files in memory.
	running *atomic.Pointer[node.Node]
}

func (n *inner) addr() string {
	grpc, _, _ := n.Addrs()
	return grpc
}

// tryNode starts a node and returns the error of a start that is refused.
func tryNode(t *testing.T, fs vfs.FS, cfg config.Config) (*inner, error) {
	t.Helper()
	log := &transcript{}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if mem, ok := fs.(*vfs.MemFS); ok {
		fs = &lockingFS{MemFS: mem}
	}
	n, err := node.Start(ctx, cfg, node.Options{
		Version: "crashtest", FS: fs, Logger: slog.New(slog.NewTextHandler(log, nil)),
	})
	if err != nil {
		return nil, err
	}
	running := &atomic.Pointer[node.Node]{}
	running.Store(n)
	t.Cleanup(func() {
		if n := running.Load(); n != nil {
			_ = stopNode(n) // see end
		}
	})
	return &inner{Node: n, log: log, running: running}, nil
}

func startNode(t *testing.T, fs vfs.FS, cfg config.Config) *inner {
	t.Helper()
	n, err := tryNode(t, fs, cfg)
	if err != nil {
		t.Fatalf("start on sound files: %v", err)
	}
	return n
}

// end stops the node, whatever became of it: its files may be those of another
// timeline by then, so only the test knows what its error means.
func (n *inner) end() error {
	n.running.Store(nil)
	return stopNode(n.Node)
}

func stopNode(n *node.Node) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return n.Stop(ctx)
}

func (n *inner) mustStop(t *testing.T) {
	t.Helper()
	if err := n.end(); err != nil {
		t.Fatalf("stop: %v", err)
	}
}

// transcript collects what a node or a process writes. It may be read while it grows.
type transcript struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (tr *transcript) Write(p []byte) (int, error) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return tr.text.Write(p)
}

func (tr *transcript) String() string {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return tr.text.String()
}

// brief is what fits a test's output: the beginning, and the end, which says why.
func (tr *transcript) brief() string {
	const first, last = 2000, 2000
	text := tr.String()
	if len(text) <= first+last {
		return text
	}
	left := text[first : len(text)-last]
	return fmt.Sprintf("%s... %d lines ...%s", text[:first], strings.Count(left, "\n"), text[len(text)-last:])
}

// within fails the test when a channel stays open.
func within(t *testing.T, done <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatalf("%s did not happen within %s", what, patience)
	}
}

// eachStore runs a test for every durable store.
func eachStore(t *testing.T, test func(t *testing.T, store string)) {
	for _, store := range stores {
		t.Run(fmt.Sprintf("store=%s", store), func(t *testing.T) { test(t, store) })
	}
}
