package node

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/client"
)

// TestARemovedNodeRefusesClients, whatever they ask at whatever level, and sends them to a member;
// it learns of its removal also when it was away, and does not start another time.
func TestARemovedNodeRefusesClients(t *testing.T) {
	t.Parallel()
	for _, away := range []bool{false, true} {
		t.Run(map[bool]string{false: "while it runs", true: "while it is away"}[away], func(t *testing.T) {
			c := newCrew(t, "memory", 1)
			c.join("n2", "n1")
			c.join("n3", "n1")
			c.mustHaveVoters("n1", "n2", "n3")
			c.put("n3", 1)
			cfg := c.cfgs["n3"]
			if away {
				c.stop("n3")
			}
			if err := c.remove("n1", "n3"); err != nil {
				t.Fatal(err)
			}
			c.mustHaveVoters("n1", "n2")
			if away {
				c.start("n3", cfg)
			}
			gone := c.nodes["n3"]
			c.await("n3 to leave", gone.left.Load)
			if err := gone.ready(); err == nil {
				t.Error("it is ready")
			}
			at, err := client.New(grpcOf(gone), client.WithTimeout(500*time.Millisecond))
			if err != nil {
				t.Fatal(err)
			}
			defer at.Close() //nolint:errcheck // nothing is under way
			put := []sheaf.Entry{sheaf.Put("a", "b")}
			for what, call := range map[string]func(context.Context) error{
				"a batch":           func(ctx context.Context) error { _, err := at.PutAll(ctx, put); return err },
				"an EVENTUAL batch": func(ctx context.Context) error { _, err := at.PutAll(ctx, put, client.At(sheaf.Eventual)); return err },
				"an EVENTUAL read": func(ctx context.Context) error {
					_, err := at.Get(ctx, []byte("key-1"), client.At(sheaf.Eventual))
					return err
				},
				"cluster status": func(ctx context.Context) error { _, err := at.Cluster(ctx); return err },
				"a removal":      func(ctx context.Context) error { return at.RemoveNode(ctx, "n1") },
				"a transfer":     func(ctx context.Context) error { return at.TransferLeader(ctx, 1, "n1") },
			} {
				if err := call(t.Context()); !errors.Is(err, sheaf.Draining) || !strings.Contains(err.Error(), "removed from cluster") {
					t.Errorf("%s: %v", what, err)
				}
			}
			both, err := client.New(grpcOf(gone) + "," + grpcOf(c.nodes["n1"]))
			if err != nil {
				t.Fatal(err)
			}
			defer both.Close() //nolint:errcheck // nothing is under way
			if _, err := both.PutAll(t.Context(), put); err != nil {
				t.Errorf("a client that knows a member too: %v", err)
			}
			c.stop("n3")
			n, err := Start(t.Context(), cfg, Options{})
			if err == nil {
				_ = n.Stop(context.Background())
				t.Fatal("it starts again")
			}
			if !strings.Contains(err.Error(), "was removed from its cluster") {
				t.Errorf("the start says %v", err)
			}
		})
	}
}

func grpcOf(n *Node) string {
	addr, _, _ := n.Addrs()
	return addr
}
