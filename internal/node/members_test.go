package node

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/config"
	"github.com/sheafdb/sheaf/internal/freeport"
	"github.com/sheafdb/sheaf/internal/replica"
)

// crew are nodes of one cluster that come and go.
type crew struct {
	t     *testing.T
	store string
	nodes map[string]*Node
	cfgs  map[string]config.Config
}

// newCrew begins with one node, of so many groups.
func newCrew(t *testing.T, store string, groups int) *crew {
	t.Helper()
	c := &crew{t: t, store: store, nodes: make(map[string]*Node), cfgs: make(map[string]config.Config)}
	cfg := testConfig(t.TempDir())
	cfg.Store, cfg.Groups, cfg.Node, cfg.PeerAddr = store, groups, "n1", freeport.Addr(t)
	c.start("n1", cfg)
	return c
}

func (c *crew) start(name string, cfg config.Config) {
	c.t.Helper()
	c.cfgs[name] = cfg
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	n, err := Start(ctx, cfg, Options{Version: "test"})
	if err != nil {
		c.t.Fatalf("start %s: %v", name, err)
	}
	c.nodes[name] = n
	c.t.Cleanup(func() { c.stop(name) })
}

func (c *crew) stop(name string) {
	c.t.Helper()
	if n := c.nodes[name]; n != nil {
		delete(c.nodes, name)
		if err := n.Stop(context.Background()); err != nil {
			c.t.Errorf("stop %s: %v", name, err)
		}
	}
}

// join adds a node by way of another.
func (c *crew) join(name, at string) {
	c.t.Helper()
	cfg := testConfig(c.t.TempDir())
	cfg.Store, cfg.Node, cfg.PeerAddr, cfg.Join = c.store, name, freeport.Addr(c.t), c.cfgs[at].PeerAddr
	c.start(name, cfg)
}

// mustHaveVoters waits until every group's voters are those nodes.
func (c *crew) mustHaveVoters(names ...string) {
	c.t.Helper()
	var want []uint64
	for _, name := range names {
		want = append(want, c.nodes[name].dir.identity.ID)
	}
	slices.Sort(want)
	var last replica.Report
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		same := true
		for _, name := range names {
			for _, h := range c.nodes[name].hosted {
				report, err := h.group.Replicas(c.t.Context())
				if err != nil {
					c.t.Fatal(err)
				}
				slices.Sort(report.Voters)
				if last = report; !slices.Equal(report.Voters, want) || len(report.Learners) > 0 || report.Joint {
					same = false
				}
			}
		}
		if same {
			return
		}
	}
	c.t.Fatalf("the voters are %+v, want %v", last, want)
}

func (c *crew) put(name string, round int) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	var entries []sheaf.Entry
	for k := range 50 {
		entries = append(entries, sheaf.Put(fmt.Sprint("key-", k), fmt.Sprint(round)))
	}
	if _, err := clientOf(c.t, c.nodes[name]).PutAll(ctx, entries); err != nil {
		c.t.Fatalf("put at %s: %v", name, err)
	}
}

func (c *crew) mustShow(name string, round int) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	for k := range 50 {
		item, err := clientOf(c.t, c.nodes[name]).Get(ctx, fmt.Append(nil, "key-", k))
		if err != nil || string(item.Value) != fmt.Sprint(round) {
			c.t.Fatalf("%s shows %q for key-%d (%v), want %d", name, item.Value, k, err, round)
		}
	}
}

// TestANodeAloneGrowsToThree without stopping, and shrinks again.
func TestANodeAloneGrowsToThree(t *testing.T) {
	t.Parallel()
	for _, groups := range []int{1, 3} {
		t.Run(fmt.Sprint("groups=", groups), func(t *testing.T) {
			c := newCrew(t, "memory", groups)
			c.put("n1", 1)
			c.join("n2", "n1")
			c.mustHaveVoters("n1", "n2")
			c.mustShow("n2", 1)
			c.put("n2", 2)
			c.join("n3", "n2")
			c.mustHaveVoters("n1", "n2", "n3")
			c.mustShow("n3", 2)

			c.stop("n1") // the other two are a majority
			c.put("n3", 3)
			c.start("n1", c.cfgs["n1"])
			c.mustShow("n1", 3)

			if err := c.nodes["n3"].Remove(t.Context(), "n1"); err != nil {
				t.Fatal(err)
			}
			c.mustHaveVoters("n2", "n3")
			c.stop("n1")
			c.put("n2", 4)
			c.mustShow("n3", 4)
		})
	}
}

// TestADeadNodeIsReplaced: the new one comes first, then the dead one goes.
func TestADeadNodeIsReplaced(t *testing.T) {
	t.Parallel()
	c := newCrew(t, "pebble", 2)
	c.join("n2", "n1")
	c.join("n3", "n1")
	c.mustHaveVoters("n1", "n2", "n3")
	c.put("n1", 1)
	c.stop("n2")
	c.put("n1", 2)
	c.join("n4", "n3")
	if err := c.nodes["n1"].Remove(t.Context(), "n2"); err != nil {
		t.Fatal(err)
	}
	c.mustHaveVoters("n1", "n3", "n4")
	c.mustShow("n4", 2)
	c.stop("n1")
	c.put("n4", 3)
	c.mustShow("n3", 3)

	// A restart needs only the data directory.
	cfg := c.cfgs["n4"]
	cfg.Node, cfg.PeerAddr, cfg.Join = "", "", ""
	c.stop("n4")
	c.start("n4", cfg)
	c.mustShow("n4", 3)
}
