package crashtest

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/sheafdb/sheaf/client"
)

// TestAnotherNodeLeadsSoonAfterAKill measures from the kill of the leader to the first write
// that a surviving node acknowledges. FAILOVERS sets how often, for a figure to quote.
func TestAnotherNodeLeadsSoonAfterAKill(t *testing.T) {
	times := 3
	if text := os.Getenv("FAILOVERS"); text != "" {
		if _, err := fmt.Sscan(text, &times); err != nil {
			t.Fatalf("FAILOVERS: %v", err)
		}
	}
	c, h := newCluster(t, 3, "memory"), newHistory()
	var took []time.Duration
	for i := range times {
		leader := c.leader()
		survivor := connect(t, c.addrs[(leader+1)%c.nodes])
		write := func() {
			b := h.begin([]int{i % keyGroups}, 100)
			result, err := survivor.PutAll(t.Context(), b.entries(), client.WithRequestID(b.id))
			if err != nil {
				t.Fatal(err)
			}
			h.acknowledge(b, result.Version)
		}
		write()
		c.kill(leader)
		began := time.Now()
		write()
		took = append(took, time.Since(began))
		c.launch(leader)
		c.proc(leader).mustBeReady(t)
		h.verify(t, c.addrs[leader], newRand(t))
	}
	slices.Sort(took)
	t.Logf("first write after the kill of the leader, %d times: median %s, p95 %s", times, took[len(took)/2], took[len(took)*95/100])
	if slowest := took[len(took)-1]; slowest > patience/3 {
		t.Errorf("once it took %s", slowest)
	}
}
