package node

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/replica"
	"github.com/sheafdb/sheaf/internal/wire"
)

// remove asks a node to remove another.
func (c *crew) remove(asked, name string) error {
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	return c.nodes[asked].Remove(ctx, name)
}

// TestOfTwoNodesOneCanBeRemoved, whichever leads: the one that leaves votes until its replicas
// are gone, and is not needed then.
func TestOfTwoNodesOneCanBeRemoved(t *testing.T) {
	t.Parallel()
	for _, leads := range []string{"n1", "n2"} {
		t.Run(leads+" leads", func(t *testing.T) {
			c := newCrew(t, "memory", 2)
			c.join("n2", "n1")
			c.mustHaveVoters("n1", "n2")
			c.put("n1", 1)
			for group := range uint64(2) {
				if err := c.nodes["n1"].TransferLeader(t.Context(), group+1, leads); err != nil {
					t.Fatal(err)
				}
			}
			if err := c.remove("n1", "n2"); err != nil {
				t.Fatal(err)
			}
			c.mustHaveVoters("n1")
			c.stop("n2")
			c.put("n1", 2)
			cfg := c.cfgs["n1"]
			c.stop("n1")
			c.start("n1", cfg)
			c.put("n1", 3)
			c.mustShow("n1", 3)
		})
	}
}

// TestANodeThatLeavesIsHeardUntilItIsGone, also through restarts: while n2 is down, n1 needs
// the vote of n3, which is no member any more and still has a replica.
func TestANodeThatLeavesIsHeardUntilItIsGone(t *testing.T) {
	t.Parallel()
	c := newCrew(t, "memory", 1)
	c.join("n2", "n1")
	c.join("n3", "n1")
	c.mustHaveVoters("n1", "n2", "n3")
	if err := c.nodes["n1"].TransferLeader(t.Context(), 1, "n1"); err != nil {
		t.Fatal(err)
	}
	gone := c.nodes["n2"].dir.identity.ID
	c.stop("n2")
	c.await("the leader to notice that n2 is down", func() bool {
		report, err := c.nodes["n1"].hosted[0].group.Replicas(t.Context())
		return err == nil && slices.ContainsFunc(report.Others, func(p replica.Progress) bool { return p.ID == gone && !p.Active })
	})
	members, err := c.nodes["n1"].hosted[0].group.Members()
	if err != nil {
		t.Fatal(err)
	}
	leave := &wire.Command{Kind: wire.Leave, Keys: [][]byte{[]byte("n3"), []byte(members.Numbers())}} // which Remove would refuse
	if _, err := c.nodes["n1"].propose(t.Context(), leave); err != nil {
		t.Fatal(err)
	}
	c.await("n3 to know", func() bool { return *c.nodes["n3"].state.Load() == stateRemoved })
	c.put("n1", 1)
	for _, name := range []string{"n1", "n3"} {
		cfg := c.cfgs[name]
		cfg.Node, cfg.PeerAddr, cfg.Join = "", "", ""
		c.stop(name)
		c.start(name, cfg)
	}
	c.put("n1", 2)
	c.start("n2", c.cfgs["n2"])
	c.mustHaveVoters("n1", "n2")
	c.stop("n3")
	c.put("n2", 3)
	c.mustShow("n1", 3)
}

func (c *crew) await(what string, is func() bool) {
	c.t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			c.t.Fatalf("there was no %s", what)
		}
	}
}

// TestNoNodeIsRemovedThatIsNeeded: nothing is written, and the others go on.
func TestNoNodeIsRemovedThatIsNeeded(t *testing.T) {
	t.Parallel()
	c := newCrew(t, "memory", 1)
	c.join("n2", "n1")
	c.join("n3", "n1")
	c.mustHaveVoters("n1", "n2", "n3")
	c.stop("n3")
	err := c.remove("n1", "n2")
	if !errors.Is(err, sheaf.InvalidBatch) || !strings.Contains(err.Error(), "n2 cannot be removed: without it 1 of 2 replicas") {
		t.Fatalf("it says %v", err)
	}
	if err := c.remove("n1", "n1"); !errors.Is(err, sheaf.InvalidBatch) {
		t.Fatalf("of itself it says %v", err)
	}
	c.put("n1", 1)
	c.mustShow("n2", 1)
	if err := c.remove("n1", "n3"); err != nil { // the one that is down may go
		t.Fatal(err)
	}
	c.mustHaveVoters("n1", "n2")
	c.put("n2", 2)
}

// TestRemovalsAtOnceAreOneAfterTheOther, or one of them is refused.
func TestRemovalsAtOnceAreOneAfterTheOther(t *testing.T) {
	t.Parallel()
	c := newCrew(t, "memory", 2)
	for _, name := range []string{"n2", "n3", "n4"} {
		c.join(name, "n1")
	}
	c.mustHaveVoters("n1", "n2", "n3", "n4")
	left := map[string]bool{"n3": true, "n4": true}
	errs := make(map[string]error)
	var mu sync.Mutex
	var removing sync.WaitGroup
	for asked, name := range map[string]string{"n1": "n3", "n2": "n4"} {
		removing.Go(func() {
			err := c.remove(asked, name)
			mu.Lock()
			defer mu.Unlock()
			errs[name] = err
		})
	}
	removing.Wait()
	voters := []string{"n1", "n2"}
	for name := range left {
		switch err := errs[name]; {
		case err == nil:
		case errors.Is(err, sheaf.RateLimited) || errors.Is(err, sheaf.Contention):
			voters = append(voters, name)
		default:
			t.Errorf("remove %s: %v", name, err)
		}
	}
	if len(voters) == 4 {
		t.Fatalf("neither was removed: %v", errs)
	}
	c.mustHaveVoters(voters...)
	c.put("n1", 1)
	c.mustShow("n2", 1)
}
