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

// TestAMemberWithoutItsDataDoesNotStart where the others call it, however often it tries.
func TestAMemberWithoutItsDataDoesNotStart(t *testing.T) {
	t.Parallel()
	c := newCrew(t, "memory", 1)
	c.join("n2", "n1")
	c.join("n3", "n1")
	c.mustHaveVoters("n1", "n2", "n3")
	cfg := c.cfgs["n3"]
	c.stop("n3")
	cfg.DataDir, cfg.Join = t.TempDir(), ""
	for range 2 {
		n, err := Start(t.Context(), cfg, Options{})
		if err == nil {
			_ = n.Stop(context.Background())
			t.Fatal("it starts")
		}
		if !strings.Contains(err.Error(), "sheaf cluster replace") {
			t.Errorf("the start says %v", err)
		}
	}
	c.put("n2", 2) // the others have a majority
}

// TestAMemberWithoutItsDataPromisesNothing: where nobody is there to tell, it begins as an empty
// cluster of its own, until the others call it.
func TestAMemberWithoutItsDataPromisesNothing(t *testing.T) {
	t.Parallel()
	c := newCrew(t, "memory", 1)
	c.join("n2", "n1")
	c.join("n3", "n1")
	c.mustHaveVoters("n1", "n2", "n3")
	c.put("n1", 1)
	cfg := c.cfgs["n3"]
	for _, name := range []string{"n3", "n2", "n1"} {
		c.stop(name)
	}
	cfg.DataDir, cfg.Join = t.TempDir(), ""
	c.start("n3", cfg)
	c.start("n1", c.cfgs["n1"])
	c.start("n2", c.cfgs["n2"])
	c.await("n3 to be called", func() bool { return c.nodes["n3"].ready() != nil })
	if err := c.nodes["n3"].ready(); !strings.Contains(err.Error(), "of another cluster") {
		t.Errorf("it is not ready because of %v", err)
	}
	at, err := client.New(grpcOf(c.nodes["n3"]), client.WithTimeout(500*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	defer at.Close() //nolint:errcheck // nothing is under way
	_, err = at.Get(t.Context(), []byte("key-1"))
	if !errors.Is(err, sheaf.Draining) || !strings.Contains(err.Error(), "sheaf cluster replace") {
		t.Errorf("a read is answered with %v", err)
	}
	if _, err = at.PutAll(t.Context(), []sheaf.Entry{sheaf.Put("a", "b")}); !errors.Is(err, sheaf.Draining) {
		t.Errorf("a batch is answered with %v", err)
	}
	c.put("n2", 2) // the others have a majority
}
