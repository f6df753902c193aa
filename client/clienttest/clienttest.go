// Package clienttest runs a Sheaf node inside the tests of a program that uses one.
//
//	func TestCheckout(t *testing.T) {
//		c := clienttest.New(t)
//		...
//	}
//
// It is a whole node, with its gRPC and HTTP faces on loopback ports of its own, that keeps its files
// in memory: nothing is left behind, and no disk is waited for. So it loses what a crash would not
// lose, but is stopped and started again with all its data ([Node.Stop], [Node.Start]), which
// is how to see what a program does while its store is away.
//
// It is for tests only: it links the server into them.
package clienttest

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/sheafdb/sheaf/client"
	"github.com/sheafdb/sheaf/internal/config"
	"github.com/sheafdb/sheaf/internal/node"
)

// patience bounds how long a node may take to start.
const patience = 30 * time.Second

// Option changes a node.
type Option func(*config.Config)

// WithGroups divides the node's keys into so many groups, as `sheaf serve --groups` does.
func WithGroups(groups int) Option { return func(c *config.Config) { c.Groups = groups } }

// RequireETag has the node refuse writes without a condition, as `require_etag` does.
func RequireETag() Option { return func(c *config.Config) { c.RequireETag = true } }

// WithHistoryBytes sets how much is kept for watches: with little of it, readers fall behind.
func WithHistoryBytes(bytes int64) Option {
	return func(c *config.Config) { c.Watch.HistoryBytes = bytes }
}

// New starts a node and returns a client of it. Both end with the test.
func New(t testing.TB, opts ...Option) *client.Client {
	t.Helper()
	return Start(t, opts...).Client(t)
}

// Node is a node in this process.
type Node struct {
	cfg config.Config
	fs  vfs.FS
	run *node.Node // nil while it is stopped
}

// Start starts a node, which ends with the test.
func Start(t testing.TB, opts ...Option) *Node {
	t.Helper()
	cfg := config.Default()
	cfg.DataDir, cfg.Store = "/sheaf", "memory"
	cfg.GRPCAddr, cfg.HTTPAddr, cfg.AdminAddr = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	// Small files: they are all in memory.
	cfg.Log.MaxBytes, cfg.Disk.BallastBytes = 64<<20, 1<<20
	cfg.DrainTimeout = 5 * time.Second
	cfg.Watch.HistoryBytes = 32 << 20
	for _, opt := range opts {
		opt(&cfg)
	}
	n := &Node{cfg: cfg, fs: vfs.NewMem()}
	n.Start(t)
	n.cfg.GRPCAddr, n.cfg.HTTPAddr, n.cfg.AdminAddr = n.run.Addrs() // they stay through a Stop
	t.Cleanup(func() { n.Stop(t) })
	return n
}

// Addr is the node's address for clients, HTTPAddr that of its HTTP face.
func (n *Node) Addr() string { return n.cfg.GRPCAddr }

// HTTPAddr is the address of the HTTP face.
func (n *Node) HTTPAddr() string { return n.cfg.HTTPAddr }

// Client returns a client of the node, which ends with the test.
func (n *Node) Client(t testing.TB, opts ...client.Option) *client.Client {
	t.Helper()
	c, err := client.New(n.Addr(), opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("close the client: %v", err)
		}
	})
	return c
}

// Stop ends the node in good order: calls fail until Start. Stopping a stopped node does nothing.
func (n *Node) Stop(t testing.TB) {
	t.Helper()
	if n.run == nil {
		return
	}
	err := n.run.Stop(context.Background())
	n.run = nil
	if err != nil {
		t.Errorf("stop the node: %v", err)
	}
}

// Start starts the node again, with its data and at its addresses. Starting one that runs does nothing.
func (n *Node) Start(t testing.TB) {
	t.Helper()
	if n.run != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	run, err := node.Start(ctx, n.cfg, node.Options{Version: "clienttest", Logger: slog.New(slog.DiscardHandler), FS: n.fs})
	if err != nil {
		t.Fatal(fmt.Errorf("start the node: %w", err))
	}
	n.run = run
}
