package node

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/client"
)

// TestAMemberWithoutItsDataPromisesNothing: it begins as an empty cluster of its own, until the
// others call it.
func TestAMemberWithoutItsDataPromisesNothing(t *testing.T) {
	t.Parallel()
	c := newCrew(t, "memory", 1)
	c.join("n2", "n1")
	c.join("n3", "n1")
	c.mustHaveVoters("n1", "n2", "n3")
	c.put("n1", 1)
	cfg := c.cfgs["n3"]
	c.stop("n3")
	cfg.DataDir, cfg.Join = t.TempDir(), ""
	c.start("n3", cfg)
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
