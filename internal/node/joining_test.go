package node

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/sheafdb/sheaf/internal/cluster"
	"github.com/sheafdb/sheaf/internal/config"
	"github.com/sheafdb/sheaf/internal/freeport"
)

// TestANodeThatDoesNotFitIsRefusedFirst: nothing is written that would have to be removed.
func TestANodeThatDoesNotFitIsRefusedFirst(t *testing.T) {
	c := newCrew(t, "memory", 2)
	for want, change := range map[string]func(*config.Config){
		"start it with --store memory": func(cfg *config.Config) { cfg.Store = "pebble" },
		"the cluster has 2 groups":     func(cfg *config.Config) { cfg.Groups = 3 },
	} {
		cfg := testConfig(t.TempDir())
		cfg.Store, cfg.Node, cfg.PeerAddr, cfg.Join = "memory", "n2", freeport.Addr(t), c.cfgs["n1"].PeerAddr
		change(&cfg)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		n, err := Start(ctx, cfg, Options{Logger: slog.New(slog.DiscardHandler)})
		cancel()
		if err == nil {
			_ = n.Stop(context.Background())
			t.Fatalf("%s: it started", want)
		}
		if !strings.Contains(err.Error(), want) {
			t.Errorf("it says %v, want %q", err, want)
		}
	}
	wish := cluster.Wish{Member: cluster.Member{Name: "n2", Addr: c.cfgs["n1"].PeerAddr, Disk: "d2"}, Store: "memory"}
	welcome, err := c.nodes["n1"].admit(t.Context(), wish) // on one machine it could not listen there
	if err != nil || !strings.Contains(welcome.Refused, "is the address of the member n1") {
		t.Errorf("at a member's address: %+v, %v", welcome, err)
	}
	members, err := c.nodes["n1"].hosted[0].group.Members()
	if err != nil || len(members.All) != 1 {
		t.Errorf("the members are %v (%v)", members.All, err)
	}
}
