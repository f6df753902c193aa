package crashtest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"syscall"
	"testing"
	"time"
)

// fault does one bad thing to a cluster at work, and undoes it.
type fault struct {
	name string
	do   func(c *testCluster, rng *rand.Rand)
	// when says whether it makes sense; nil is always.
	when func(c *chaos) bool
}

// faults are drawn from at random, one after the other.
var faults = []fault{
	{name: "kill one", do: func(c *testCluster, rng *rand.Rand) { c.killAndStart(rng, rng.IntN(c.nodes)) }},
	{name: "kill the leader", do: func(c *testCluster, rng *rand.Rand) { c.killAndStart(rng, c.leader()) }},
	{name: "kill two", do: func(c *testCluster, rng *rand.Rand) { c.killAndStart(rng, rng.Perm(c.nodes)[:2]...) }},
	{name: "kill all", do: func(c *testCluster, rng *rand.Rand) { c.killAndStart(rng, rng.Perm(c.nodes)...) }},
	{name: "stop one for a while", do: func(c *testCluster, rng *rand.Rand) { c.freeze(rng, rng.IntN(c.nodes)) }},
	{name: "stop the leader for a while", do: func(c *testCluster, rng *rand.Rand) { c.freeze(rng, c.leader()) }},
	{name: "cut one off", do: func(c *testCluster, rng *rand.Rand) { c.isolate(rng, rng.IntN(c.nodes), true, true) }},
	{name: "cut the leader off", do: func(c *testCluster, rng *rand.Rand) { c.isolate(rng, c.leader(), true, true) }},
	{name: "nobody hears one", do: func(c *testCluster, rng *rand.Rand) { c.isolate(rng, rng.IntN(c.nodes), true, false) }},
	{name: "the leader hears nobody", do: func(c *testCluster, rng *rand.Rand) { c.isolate(rng, c.leader(), false, true) }},
	{name: "two do not hear each other", do: (*testCluster).divideTwo},
	{name: "only one hears both sides", do: (*testCluster).bridge, when: func(c *chaos) bool { return c.nodes > 3 }},
	{name: "a slow way", do: func(c *testCluster, rng *rand.Rand) {
		p := rng.Perm(c.nodes)
		c.links.slow[p[0]][p[1]].Store(int64(time.Duration(rng.IntN(80)) * time.Millisecond))
		pauseFor(rng, 200*time.Millisecond, 3*time.Second)
		c.links.heal()
	}},
	{name: "a way that trickles", do: func(c *testCluster, rng *rand.Rand) {
		p := rng.Perm(c.nodes)
		c.links.trickle[p[0]][p[1]].Store(true)
		c.links.trickle[p[1]][p[0]].Store(rng.IntN(2) == 0)
		pauseFor(rng, 200*time.Millisecond, 4*time.Second)
		c.links.heal()
	}},
	{name: "the lead goes round", do: (*testCluster).passLeads},
	{name: "rolling restart", do: (*testCluster).roll},
	{name: "lose one with its disk and replace it", do: func(c *testCluster, rng *rand.Rand) { c.replace(rng.IntN(c.nodes)) }},
	{name: "one joins and leaves", do: (*testCluster).visit},
	{name: "one falls behind the others' logs", do: (*testCluster).fallBehind, when: func(c *chaos) bool { return c.long }},
	{name: "a slow disk", do: func(c *testCluster, rng *rand.Rand) { c.slowDisk(rng) }},
	{name: "an fsync of the log fails", do: (*testCluster).failSync},
	{name: "a disk hangs", do: (*testCluster).hangDisk, when: func(c *chaos) bool { return c.long }},
	{name: "a coordinator ends at a step", do: (*testCluster).endCoordinators, when: func(c *chaos) bool { return c.groups > 1 }},
	{name: "the log of one that is down is damaged", do: (*testCluster).damageLog},
}

// besides are faults that now and then go on while another happens. They end by themselves and
// start nothing.
var besides = []fault{
	{name: "a slow disk, besides", do: func(c *testCluster, rng *rand.Rand) { c.slowDisk(rng) }},
	{name: "stop one, besides", do: func(c *testCluster, rng *rand.Rand) { c.freeze(rng, rng.IntN(c.nodes)) }},
}

func pauseFor(rng *rand.Rand, least, most time.Duration) {
	time.Sleep(least + time.Duration(rng.Int64N(int64(most-least))))
}

func (c *testCluster) killAndStart(rng *rand.Rand, which ...int) {
	for _, i := range which {
		c.kill(i)
		pauseFor(rng, 0, 50*time.Millisecond)
	}
	pauseFor(rng, 0, 2*time.Second)
	for _, i := range which {
		c.launch(i)
	}
	for _, i := range which {
		c.proc(i).mustBeReady(c.t)
	}
}

func (c *testCluster) freeze(rng *rand.Rand, i int) {
	p := c.proc(i).cmd.Process
	_ = p.Signal(syscall.SIGSTOP) // it may have been killed besides
	pauseFor(rng, 100*time.Millisecond, 5*time.Second)
	_ = p.Signal(syscall.SIGCONT)
}

// isolate cuts what a node sends, what it hears, or both.
func (c *testCluster) isolate(rng *rand.Rand, i int, out, in bool) {
	for j := range c.nodes {
		c.links.cut[i][j].Store(out)
		c.links.cut[j][i].Store(in)
	}
	pauseFor(rng, 200*time.Millisecond, 5*time.Second)
	c.links.heal()
}

func (c *testCluster) divideTwo(rng *rand.Rand) {
	p := rng.Perm(c.nodes)
	c.links.cut[p[0]][p[1]].Store(true)
	c.links.cut[p[1]][p[0]].Store(true)
	pauseFor(rng, 200*time.Millisecond, 4*time.Second)
	c.links.heal()
}

// bridge divides all but one into two sides that hear only that one and themselves.
func (c *testCluster) bridge(rng *rand.Rand) {
	p := rng.Perm(c.nodes)
	for n, i := range p[1:] {
		for m, j := range p[1:] {
			c.links.cut[i][j].Store(n%2 != m%2)
		}
	}
	pauseFor(rng, time.Second, 6*time.Second)
	c.links.heal()
}

// passLeads has one node after the other lead, every 300 ms.
func (c *testCluster) passLeads(rng *rand.Rand) {
	any := connect(c.t, c.everybody())
	defer any.Close() //nolint:errcheck // nothing is under way
	for range 10 {
		ctx, cancel := context.WithTimeout(c.t.Context(), time.Second)
		_ = any.TransferLeader(ctx, 1, c.names[rng.IntN(c.nodes)]) // another may have been chosen meanwhile
		cancel()
		pauseFor(rng, 250*time.Millisecond, 350*time.Millisecond)
	}
}

func (c *testCluster) roll(*rand.Rand) {
	for i := range c.nodes {
		if code := c.proc(i).terminate(c.t); code != 0 {
			c.t.Errorf("node %d ended with %d after SIGTERM", i+1, code)
		}
		c.links.pids[i].Store(0)
		c.restart(i)
	}
}

// replace loses a node with its disk, and has a new one take its place.
func (c *testCluster) replace(i int) {
	c.t.Helper()
	c.kill(i)
	c.wipe(i)
	old := c.names[i]
	c.rename(i)
	c.replaced[i] = true
	c.launch(i) // it waits for a place: most are there
	c.proc(i).mustBeReady(c.t)
	c.remove(old, (i+1)%c.nodes)
}

func (c *testCluster) wipe(i int) {
	if err := os.RemoveAll(c.dirs[i]); err != nil {
		c.t.Error(err)
	}
}

func (c *testCluster) rename(i int) {
	c.made++
	c.names[i] = fmt.Sprintf("n%d", c.made)
}

// remove has a node leave, and waits until those that are left all vote in every group.
func (c *testCluster) remove(name string, asked int) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	if err := c.client(asked).RemoveNode(ctx, name); err != nil {
		c.t.Errorf("remove %s: %v", name, err)
	}
	c.awaitMembers(ctx, c.nodes)
}

// awaitMembers waits until the cluster has so many members and nothing to complain of.
func (c *testCluster) awaitMembers(ctx context.Context, n int) {
	c.t.Helper()
	await(c.t, fmt.Sprintf("cluster of %d, all with a vote in every group", n), func() bool {
		status, err := c.client(0).Cluster(ctx)
		return err == nil && len(status.GetProblems()) == 0 && len(status.GetNodes()) == n
	})
}

// visit has one more node join, and then leave.
func (c *testCluster) visit(*rand.Rand) {
	i := c.nodes
	c.rename(i)
	c.restart(i)
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	c.awaitMembers(ctx, c.nodes+1)
	c.remove(c.names[i], 0)
	c.kill(i)
	c.wipe(i)
}

// fallBehind keeps a node away until the others, which are started again meanwhile, have
// neither in their logs nor in memory what it lacks: it needs a copy of the state.
func (c *testCluster) fallBehind(rng *rand.Rand) {
	i := rng.IntN(c.nodes)
	c.kill(i)
	pauseFor(rng, 8*time.Second, 12*time.Second)
	for j := range c.nodes {
		if j != i {
			c.kill(j)
			c.restart(j)
		}
	}
	c.restart(i)
}

// slowDisk has a node's every fsync take 50 to 500 ms.
func (c *testCluster) slowDisk(rng *rand.Rand) {
	i := rng.IntN(c.nodes)
	c.disks[i].Lock()
	defer c.disks[i].Unlock()
	c.inject(i, "disk.sync=sleep 50ms-500ms")
	pauseFor(rng, 500*time.Millisecond, 4*time.Second)
	c.inject(i, "")
}

// failSync fails an fsync of a node's log: the node ends and says why.
func (c *testCluster) failSync(rng *rand.Rand) {
	i := rng.IntN(c.nodes)
	c.disks[i].Lock()
	defer c.disks[i].Unlock()
	c.inject(i, "log.sync=error")
	c.proc(i).mustEnd(c.t, "sync", ".wal", "input/output error", "next:")
	c.links.pids[i].Store(0)
	c.inject(i, "")
	pauseFor(rng, 0, time.Second)
	c.restart(i)
}

// hangDisk has no fsync of a node come to an end: the node ends within some ten seconds.
func (c *testCluster) hangDisk(rng *rand.Rand) {
	i := rng.IntN(c.nodes)
	c.disks[i].Lock()
	defer c.disks[i].Unlock()
	c.inject(i, "disk.sync=hang")
	c.proc(i).mustEnd(c.t, "hangs")
	c.links.pids[i].Store(0)
	c.inject(i, "")
	c.restart(i)
}

// endCoordinators ends processes at a step of a batch over several groups.
func (c *testCluster) endCoordinators(rng *rand.Rand) {
	place := coordinatorPlaces[rng.IntN(len(coordinatorPlaces))]
	for i := range c.nodes {
		c.inject(i, place+"=kill:0.03")
	}
	pauseFor(rng, 500*time.Millisecond, 3*time.Second)
	for i := range c.nodes {
		c.inject(i, "")
	}
	time.Sleep(50 * time.Millisecond) // the rules are looked at now and then
	for i := range c.nodes {
		if c.proc(i).ended() {
			c.links.pids[i].Store(0)
			c.coordinatorsEnded++
			c.launch(i)
		}
	}
	for i := range c.nodes {
		c.proc(i).mustBeReady(c.t)
	}
}

// coordinatorPlaces are the steps of a batch over several groups that end with a decision.
var coordinatorPlaces = func() (places []string) {
	for _, step := range []string{"prepare", "decide", "resolve", "done"} {
		for _, when := range []string{"before", "amid", "after"} {
			if step != "done" || when != "amid" { // which is said to one group
				places = append(places, "coordinator."+when+"-"+step)
			}
		}
	}
	return places
}()

// damageLog damages the log of a node that is down. Either it was nothing that counts, and the
// node serves, or the node refuses to start and is replaced.
func (c *testCluster) damageLog(rng *rand.Rand) {
	i := rng.IntN(c.nodes)
	c.kill(i)
	what := damageSegment(c.t, c.dirs[i], rng)
	c.launch(i)
	p := c.proc(i)
	within(c.t, p.ready, "the ready line or the end of the process")
	if p.addr != "" {
		return
	}
	p.mustEnd(c.t, "is damaged at offset", ".wal", "sheaf cluster replace "+c.names[i])
	c.refusedStarts++
	if c.t.Failed() {
		c.t.Logf("the damage: %s", what)
	}
	c.replace(i)
}

// ended says whether the process is gone.
func (p *process) ended() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// damageSegment flips a bit of a segment of the log in a data directory, or cuts its tail, and
// says which.
func damageSegment(t *testing.T, dir string, rng *rand.Rand) string {
	t.Helper()
	names := segments(t, dir)
	name := names[rng.IntN(len(names))]
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	at := rng.Int64N(info.Size())
	if rng.IntN(2) == 0 {
		if err := os.Truncate(name, at); err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("%s cut from %d to %d bytes", name, info.Size(), at)
	}
	mustWrite(t, name, flipped(mustRead(t, name), at, rng))
	return fmt.Sprintf("a bit at %d of %s flipped", at, name)
}
