package crashtest

import (
	"context"
	"testing"
	"time"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/client"
)

// freeWithin bounds how long a coordinator that ends keeps others off its keys: five seconds
// for an attempt, and another leader where its node led.
const freeWithin = 10 * time.Second

// TestACoordinatorThatEndsAtAnyStepLeavesNothing ends the process of a coordinator at each step
// of a batch over several groups. With what is left of the cluster the keys are soon free, the
// batch is whole or not there, and a retry of its request ID is answered as the first attempt
// was, or would have been.
func TestACoordinatorThatEndsAtAnyStepLeavesNothing(t *testing.T) {
	t.Parallel()
	c, h := newCluster(t, 3, "memory", "--groups", "3"), newHistory()
	h.strict = true
	for n, place := range coordinatorPlaces {
		i := n % c.nodes
		other := (i + 1) % c.nodes
		groups := []int{0, 1} // eight keys, in all groups
		put := func(addr string, b *batch, options ...client.WriteOption) (client.Result, error) {
			ctx, cancel := context.WithTimeout(t.Context(), freeWithin)
			defer cancel()
			result, err := connect(t, addr).PutAll(ctx, b.entries(), append(options, client.WithRequestID(b.id))...)
			if err == nil && b.version == 0 { // not the retry of an answer
				h.acknowledge(b, result.Version)
			}
			return result, err
		}
		if _, err := put(c.addrs[other], h.begin(groups, 50)); err != nil {
			t.Fatalf("%s: a batch before it: %v", place, err)
		}
		p := c.proc(i)
		c.inject(i, place+"=kill")
		time.Sleep(50 * time.Millisecond) // the rules are looked at now and then
		b := h.begin(groups, 50)
		first, err := put(c.addrs[i], b, client.WithoutRetry())
		if code := sheaf.CodeOf(err); err != nil && code != sheaf.OutcomeUnknown {
			t.Errorf("%s: the batch is answered with %v", place, err)
		}
		within(t, p.exited, "the end at "+place)
		began := time.Now()
		c.links.pids[i].Store(0)
		c.inject(i, "")

		if n%2 == 0 { // somebody else first
			if _, err := put(c.addrs[other], h.begin(groups, 50)); err != nil {
				t.Errorf("%s: the keys are not free: %v", place, err)
			}
		}
		again, err := put(c.addrs[other], b)
		switch {
		case err != nil:
			t.Errorf("%s: the retry is answered with %v", place, err)
		case first.Version != 0 && (!again.Replayed || again.Version != first.Version):
			t.Errorf("%s: the batch was answered with version %d, and its retry says %+v", place, first.Version, again)
		}
		h.checkPresent(t, lookAt(t, connect(t, c.addrs[other]), h, groups))
		t.Logf("%s: free after %s, replayed %v", place, time.Since(began).Round(time.Millisecond), again.Replayed)
		if took := time.Since(began); took > freeWithin {
			t.Errorf("%s: it took %s", place, took)
		}
		c.restart(i)
		c.awaitHealth(h, time.Now())
	}
	for _, addr := range c.addrs[:c.nodes] {
		h.verify(t, addr, newRand(t))
	}
}
