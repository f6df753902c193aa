package client

import (
	"context"
	"testing"

	"github.com/sheafdb/sheaf/internal/config"
	server "github.com/sheafdb/sheaf/internal/node"
)

// startNode runs a node of its own, in this process and on real sockets, and returns its address.
func startNode(t *testing.T) string {
	t.Helper()
	cfg := config.Default()
	cfg.DataDir, cfg.Store = t.TempDir(), "memory"
	cfg.GRPCAddr, cfg.HTTPAddr, cfg.AdminAddr = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	n, err := server.Start(context.Background(), cfg, server.Options{Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	addr, _, _ := n.Addrs()
	return addr
}

// clientOfNode returns a client of a real node.
func clientOfNode(t *testing.T, addr string, opts ...Option) *Client {
	t.Helper()
	c, err := New(addr, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}
