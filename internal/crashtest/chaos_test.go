package crashtest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sheafdb/sheaf/internal/router"
)

// chaosTime is how long clusters are kept under faults: CHAOS sets it, for `make chaos`.
func chaosTime(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("CHAOS")
	if text == "" {
		return 20 * time.Second
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("CHAOS: %v", err)
	}
	return d
}

// TestAClusterUnderFaults keeps writers and readers at work at all nodes of a cluster while
// bad things happen to it, one or two at a time. Every half minute all faults end; then the
// cluster must be healthy soon, and every node is held to what the callers know. CHAOS_ONLY
// chooses among the clusters, by a part of the name.
func TestAClusterUnderFaults(t *testing.T) {
	clusters := []*chaos{
		{store: "memory", groups: 3, nodes: 3},
		{store: "pebble", groups: 1, nodes: 3},
		{store: "pebble", groups: 3, nodes: 3},
		{store: "memory", groups: 1, nodes: 3},
		{store: "memory", groups: 3, nodes: 5},
	}
	long := os.Getenv("CHAOS") != ""
	if !long {
		clusters = clusters[:2]
	}
	var chosen []*chaos
	for _, c := range clusters {
		if strings.Contains(c.name(), os.Getenv("CHAOS_ONLY")) {
			chosen = append(chosen, c)
		}
	}
	for _, c := range chosen {
		c.long = long
		t.Run(c.name(), func(t *testing.T) { c.run(t, chaosTime(t)/time.Duration(len(chosen))) })
	}
}

// roundTime is how long a cluster is under faults before it is looked at.
const roundTime = 30 * time.Second

// callersOf are how many write at each node and at all, by the number of nodes: five nodes on a
// small machine have no time for as many as three.
var callersOf = map[int]int{3: 16, 5: 4}

// chaos is one cluster under faults.
type chaos struct {
	store         string
	groups, nodes int
	long          bool // there is time for faults that take long

	*testCluster
	history *history
	rng     *rand.Rand
	done    map[string]int  // faults, by name
	reads   int             // at LINEARIZABLE and in sessions
	session int             // reads in sessions
	settled int             // batches of unknown outcome that the verdict settled
	healthy []time.Duration // from the end of each round's last fault
}

func (c *chaos) name() string {
	return fmt.Sprintf("store=%s/groups=%d/nodes=%d", c.store, c.groups, c.nodes)
}

func (c *chaos) run(t *testing.T, d time.Duration) {
	c.rng, c.history, c.done = newRand(t), newHistory(), make(map[string]int)
	c.history.strict, c.history.groups, c.history.table = true, allGroups, router.Equal(c.groups)
	c.testCluster = newCluster(t, c.nodes, c.store, "--groups", fmt.Sprint(c.groups))
	began := time.Now()
	for spent := time.Duration(0); !t.Failed() && (spent < d || c.didLittle() && spent < d+slowTime); spent = time.Since(began) {
		c.round(min(roundTime, max(d-spent, leastRound)))
		t.Log(c.soFar(time.Since(began)))
	}
	if c.didLittle() {
		t.Errorf("too little was done to say anything")
	}
}

// slowTime is how much longer than planned a cluster is under faults, at most, where a busy machine
// gets little done; leastRound is how long such a round is.
const (
	slowTime   = time.Minute
	leastRound = 5 * time.Second
)

// didLittle: there is too little to say anything.
func (c *chaos) didLittle() bool {
	h := c.history
	return h.ackedCount() < 100 || c.reads < 100 || c.session == 0 || h.applied == 0 || h.unmet == 0 || c.groups > 1 && h.severed == 0
}

func (c *chaos) soFar(d time.Duration) string {
	sum, longest := time.Duration(0), time.Duration(0)
	for _, h := range c.healthy {
		sum, longest = sum+h, max(longest, h)
	}
	return fmt.Sprintf("%s: %d batches acknowledged (%d in parts, %d settled by a retry at the end), %d refused, %d applied and %d refused by a condition, %d reads (%d in sessions); healthy after %s, at most %s; %d copies of the state taken over, %d coordinators ended, %d damaged logs refused; faults: %v",
		d.Round(time.Second), c.history.ackedCount(), c.history.severed, c.settled, c.history.refusals+len(c.history.refused), c.history.applied, c.history.unmet, c.reads, c.session,
		(sum / time.Duration(len(c.healthy))).Round(time.Millisecond), longest.Round(time.Millisecond),
		c.said("state of another replica taken over"), c.coordinatorsEnded, c.refusedStarts, c.done)
}

// round is some time under faults, and the verdict.
func (c *chaos) round(d time.Duration) {
	t, h := c.t, c.history
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	callers := startCallers(t, c.testCluster, h, c.rng, callersOf[c.nodes])
	var readers sync.WaitGroup
	reads, inSession := make([]int, c.nodes), make([]int, c.nodes)
	for i, addr := range c.addrs[:c.nodes] {
		own := rand.New(rand.NewPCG(c.rng.Uint64(), 1))
		readers.Go(func() { reads[i], inSession[i] = watch(ctx, t, addr, h, own) })
	}
	for end := time.Now().Add(d); time.Now().Before(end) && !t.Failed(); {
		c.hurt()
		pauseFor(c.rng, 0, time.Second)
	}
	c.links.heal()
	ended, acked := time.Now(), h.ackedCount()
	await(t, "acknowledged batch after the faults", func() bool { return h.ackedCount() > acked })
	wentOn := time.Since(ended)
	callers.finish()
	cancel()
	readers.Wait()
	quiet := time.Since(ended)
	c.healthy = append(c.healthy, c.awaitHealth(h, ended))
	t.Logf("after the last fault writes went on within %s, all had an answer within %s, and all was well within %s",
		wentOn.Round(time.Millisecond), quiet.Round(time.Millisecond), c.healthy[len(c.healthy)-1].Round(time.Millisecond))
	for i := range reads {
		c.reads += reads[i]
		c.session += inSession[i]
	}
	c.settled += len(h.unknown)
	for _, addr := range c.addrs[:c.nodes] {
		h.verify(t, addr, c.rng)
	}
	h.checkConditions(t)
	h.checkShown(t)
	if ill := c.ill(h); ill != "" {
		t.Errorf("after the verdict: %s", ill)
	}
	h.forget(c.rng, retries)
}

// hurt does a fault that makes sense, and now and then another besides.
func (c *chaos) hurt() {
	f := faults[c.rng.IntN(len(faults))]
	for f.when != nil && !f.when(c) {
		f = faults[c.rng.IntN(len(faults))]
	}
	var other sync.WaitGroup
	defer other.Wait()
	if c.rng.IntN(4) == 0 {
		b, own := besides[c.rng.IntN(len(besides))], rand.New(rand.NewPCG(c.rng.Uint64(), 2))
		c.done[b.name]++
		other.Go(func() { b.do(c.testCluster, own) })
	}
	c.done[f.name]++
	f.do(c.testCluster, c.rng)
}
