package crashtest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/client"
	"github.com/sheafdb/sheaf/internal/freeport"
)

const clusterNodes = 3

// chaosTime is how long a cluster is kept under faults: CHAOS sets it, for `make chaos`.
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

// testCluster are three processes, with proxies between them.
type testCluster struct {
	t     *testing.T
	store string
	links *links
	dirs  [clusterNodes]string
	addrs [clusterNodes]string // of gRPC, which stay
	more  []string
	// names of the nodes; one that was replaced has another, and joins instead of being one of
	// the first.
	names    [clusterNodes]string
	replaced [clusterNodes]bool
	made     int // names given

	mu    sync.Mutex
	procs [clusterNodes]*process // nil while one is down
}

func newCluster(t *testing.T, store string, more ...string) *testCluster {
	t.Helper()
	c := &testCluster{t: t, store: store, links: newLinks(t), more: more}
	for i := range clusterNodes {
		c.dirs[i], c.addrs[i] = t.TempDir(), freeport.Addr(t)
		c.names[i] = fmt.Sprintf("n%d", i+1)
	}
	c.made = clusterNodes
	for i := range clusterNodes {
		c.launch(i)
	}
	for i := range clusterNodes {
		c.procs[i].mustBeReady(t)
	}
	return c
}

// launch starts a node and does not wait.
func (c *testCluster) launch(i int) {
	c.t.Helper()
	var members []string
	for j, p := range c.links.proxies {
		members = append(members, fmt.Sprintf("n%d=%s", j+1, p.listener.Addr()))
	}
	args := append(serveArgs(c.dirs[i], c.store), "--grpc-addr", c.addrs[i],
		"--node", c.names[i], "--peer-addr", c.links.proxies[i].target, "--log-max-bytes", "8MiB")
	if c.replaced[i] {
		args = append(args, "--join", c.links.proxies[(i+1)%clusterNodes].listener.Addr().String())
	} else {
		args = append(args, "--cluster", strings.Join(members, ","))
	}
	p := launch(c.t, program(c.t), append(args, c.more...)...)
	c.links.pids[i].Store(int64(p.cmd.Process.Pid))
	c.mu.Lock()
	c.procs[i] = p
	c.mu.Unlock()
}

func (c *testCluster) proc(i int) *process {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.procs[i]
}

func (c *testCluster) kill(i int) {
	c.proc(i).kill()
	c.links.pids[i].Store(0)
}

// leader is the node that said last that it leads, as far as the logs of those that run say.
func (c *testCluster) leader() int {
	best, term := 0, -1
	for i := range clusterNodes {
		log := c.proc(i).stderr.String()
		at := strings.LastIndex(log, "here=true")
		if at < 0 {
			continue
		}
		line := log[strings.LastIndexByte(log[:at], '\n')+1 : at]
		var n int
		if _, err := fmt.Sscanf(line[strings.Index(line, "term="):], "term=%d", &n); err == nil && n > term {
			best, term = i, n
		}
	}
	return best
}

// fault does one bad thing, and undoes it.
type fault struct {
	name string
	do   func(c *testCluster, rng *rand.Rand)
}

func pauseFor(rng *rand.Rand, least, most time.Duration) {
	time.Sleep(least + time.Duration(rng.Int64N(int64(most-least))))
}

var faults = []fault{
	{"kill one", func(c *testCluster, rng *rand.Rand) { c.killAndStart(rng, rng.IntN(clusterNodes)) }},
	{"kill the leader", func(c *testCluster, rng *rand.Rand) { c.killAndStart(rng, c.leader()) }},
	{"kill two", func(c *testCluster, rng *rand.Rand) {
		p := rng.Perm(clusterNodes)
		c.killAndStart(rng, p[0], p[1])
	}},
	{"kill all", func(c *testCluster, rng *rand.Rand) { c.killAndStart(rng, rng.Perm(clusterNodes)...) }},
	{"stop one for a while", func(c *testCluster, rng *rand.Rand) { c.freeze(rng, rng.IntN(clusterNodes)) }},
	{"stop the leader for a while", func(c *testCluster, rng *rand.Rand) { c.freeze(rng, c.leader()) }},
	{"cut one off", func(c *testCluster, rng *rand.Rand) { c.isolate(rng, rng.IntN(clusterNodes), true, true) }},
	{"cut the leader off", func(c *testCluster, rng *rand.Rand) { c.isolate(rng, c.leader(), true, true) }},
	{"nobody hears one", func(c *testCluster, rng *rand.Rand) { c.isolate(rng, rng.IntN(clusterNodes), true, false) }},
	{"the leader hears nobody", func(c *testCluster, rng *rand.Rand) { c.isolate(rng, c.leader(), false, true) }},
	{"two do not hear each other", func(c *testCluster, rng *rand.Rand) {
		p := rng.Perm(clusterNodes)
		c.links.cut[p[0]][p[1]].Store(true)
		c.links.cut[p[1]][p[0]].Store(true)
		pauseFor(rng, 200*time.Millisecond, 4*time.Second)
		c.links.heal()
	}},
	{"the lead goes round", func(c *testCluster, rng *rand.Rand) { c.passLeads(rng) }},
	{"lose one with its disk and replace it", func(c *testCluster, rng *rand.Rand) { c.replace(rng.IntN(clusterNodes)) }},
	{"a slow way", func(c *testCluster, rng *rand.Rand) {
		p := rng.Perm(clusterNodes)
		c.links.slow[p[0]][p[1]].Store(int64(time.Duration(rng.IntN(80)) * time.Millisecond))
		pauseFor(rng, 200*time.Millisecond, 3*time.Second)
		c.links.heal()
	}},
	{"rolling restart", func(c *testCluster, rng *rand.Rand) {
		for i := range clusterNodes {
			if code := c.proc(i).terminate(c.t); code != 0 {
				c.t.Errorf("node %d ended with %d after SIGTERM", i+1, code)
			}
			c.links.pids[i].Store(0)
			c.launch(i)
			c.proc(i).mustBeReady(c.t)
		}
	}},
}

// replace loses a node with its disk, and has a new one take its place.
func (c *testCluster) replace(i int) {
	c.t.Helper()
	c.kill(i)
	if err := os.RemoveAll(c.dirs[i]); err != nil {
		c.t.Error(err)
	}
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	others := connect(c.t, c.addrs[(i+1)%clusterNodes]+","+c.addrs[(i+2)%clusterNodes])
	old := c.names[i]
	c.made++
	c.names[i], c.replaced[i] = fmt.Sprintf("n%d", c.made), true
	c.launch(i) // it waits for a place: two of three are there
	c.proc(i).mustBeReady(c.t)
	if err := others.RemoveNode(ctx, old); err != nil {
		c.t.Errorf("remove %s: %v", old, err)
	}
	await(c.t, "the new node to have a vote in every group", func() bool {
		status, err := others.Cluster(ctx)
		return err == nil && len(status.GetProblems()) == 0 && len(status.GetNodes()) == clusterNodes
	})
}

// passLeads has one node after the other lead, every 300 ms.
func (c *testCluster) passLeads(rng *rand.Rand) {
	any := connect(c.t, strings.Join(c.addrs[:], ","))
	for range 10 {
		ctx, cancel := context.WithTimeout(c.t.Context(), time.Second)
		_ = any.TransferLeader(ctx, 1, c.names[rng.IntN(clusterNodes)]) // another may have been chosen meanwhile
		cancel()
		pauseFor(rng, 250*time.Millisecond, 350*time.Millisecond)
	}
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
	_ = p.Signal(syscall.SIGSTOP)
	pauseFor(rng, 100*time.Millisecond, 5*time.Second)
	_ = p.Signal(syscall.SIGCONT)
}

// isolate cuts what a node sends, what it hears, or both.
func (c *testCluster) isolate(rng *rand.Rand, i int, out, in bool) {
	for j := range clusterNodes {
		c.links.cut[i][j].Store(out)
		c.links.cut[j][i].Store(in)
	}
	pauseFor(rng, 200*time.Millisecond, 5*time.Second)
	c.links.heal()
}

// watcher reads on and on: no half batch, and never older than what was acknowledged before
// the read began.
func watch(ctx context.Context, t *testing.T, addr string, h *history, rng *rand.Rand) (reads int) {
	c := connect(t, addr)
	for ctx.Err() == nil {
		groups := rng.Perm(keyGroups)[:1+rng.IntN(4)]
		var keys [][]byte
		for _, group := range groups {
			keys = append(keys, keysOf(group)...)
		}
		h.mu.Lock()
		newest := h.newest()
		h.mu.Unlock()
		least := make(map[int]uint64)
		for _, group := range groups {
			if b := newest[group]; b != nil {
				least[group] = b.version
			}
		}
		readCtx, cancel := context.WithTimeout(ctx, 3*time.Second)
		values, err := c.GetAll(readCtx, keys, client.WithoutRetry())
		cancel()
		if err != nil {
			continue // nobody to ask, or no leader
		}
		reads++
		for i, group := range groups {
			items := values.Items[i*keysPerGroup : (i+1)*keysPerGroup]
			for _, item := range items {
				if item.Version != items[0].Version || stampOf(item.Value) != stampOf(items[0].Value) {
					t.Errorf("group %d shows a half batch: versions %d and %d", group, items[0].Version, item.Version)
				}
			}
			if items[0].Version < least[group] {
				t.Errorf("a read of group %d at %s shows version %d, and %d had been acknowledged before it", group, addr, items[0].Version, least[group])
			}
		}
	}
	return reads
}

// TestAClusterUnderFaults keeps writers and readers at work at all nodes of a cluster while
// bad things happen to it, one or two at a time, and then holds every node to what the
// callers know.
func TestAClusterUnderFaults(t *testing.T) {
	clusters := []struct{ store, groups string }{{"memory", "3"}, {"pebble", "1"}, {"pebble", "3"}, {"memory", "1"}}
	if os.Getenv("CHAOS") == "" {
		clusters = clusters[:2]
	}
	for _, c := range clusters {
		t.Run("store="+c.store+"/groups="+c.groups, func(t *testing.T) {
			underFaults(t, c.store, c.groups, chaosTime(t)/time.Duration(len(clusters)))
		})
	}
}

func underFaults(t *testing.T, store, groups string, d time.Duration) {
	rng := newRand(t)
	c, h := newCluster(t, store, "--groups", groups), newHistory()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var readers sync.WaitGroup
	var traffics []*traffic
	reads := make([]int, clusterNodes)
	for i, addr := range c.addrs {
		own := rand.New(rand.NewPCG(rng.Uint64(), 1))
		traffics = append(traffics, startTraffic(t, addr, h, rng, load{writers: 3, maxValueBytes: 1 << 10, throughAll: true}))
		readers.Go(func() { reads[i] = watch(ctx, t, addr, h, own) })
	}
	done := make(map[string]int)
	for end := time.Now().Add(d); time.Now().Before(end) && !t.Failed(); {
		f := faults[rng.IntN(len(faults))]
		done[f.name]++
		f.do(c, rng)
		pauseFor(rng, 0, time.Second)
	}
	c.links.heal()
	healed := time.Now()
	acked := h.ackedCount()
	await(t, "acknowledged batch after the faults", func() bool { return h.ackedCount() > acked })
	recovered := time.Since(healed)
	for _, tr := range traffics {
		tr.finish()
	}
	cancel()
	readers.Wait()
	total := 0
	for _, n := range reads {
		total += n
	}
	t.Logf("%d batches acknowledged, %d unknown, %d refused, %d reads; faults: %v; writes went on %s after the last",
		h.ackedCount(), len(h.unknown), len(h.refused), total, done, recovered.Round(time.Millisecond))
	if h.ackedCount() < 20 || total < 20 {
		t.Errorf("too little was done to say anything")
	}
	for _, addr := range c.addrs {
		h.verify(t, addr, rng)
	}
	c.sameEverywhere(h)
}

// sameEverywhere reads every replica's own state.
func (c *testCluster) sameEverywhere(h *history) {
	c.t.Helper()
	var keys [][]byte
	for group := range h.groups {
		keys = append(keys, keysOf(group)...)
	}
	read := func(addr string) []sheaf.Item {
		values, err := connect(c.t, addr).GetAll(c.t.Context(), keys, client.At(sheaf.Eventual))
		if err != nil {
			c.t.Fatal(err)
		}
		return values.Items
	}
	await(c.t, "equal replicas", func() bool {
		first := read(c.addrs[0])
		for _, addr := range c.addrs[1:] {
			for i, item := range read(addr) {
				if item.Version != first[i].Version || string(item.Value) != string(first[i].Value) {
					return false
				}
			}
		}
		return true
	})
}

// TestAnotherNodeLeadsSoonAfterAKill measures from the kill of the leader to the first write
// that a surviving node acknowledges. FAILOVERS sets how often, for a figure to quote.
func TestAnotherNodeLeadsSoonAfterAKill(t *testing.T) {
	times := 3
	if text := os.Getenv("FAILOVERS"); text != "" {
		if _, err := fmt.Sscan(text, &times); err != nil {
			t.Fatalf("FAILOVERS: %v", err)
		}
	}
	c, h := newCluster(t, "memory"), newHistory()
	var took []time.Duration
	for i := range times {
		leader := c.leader()
		survivor := connect(t, c.addrs[(leader+1)%clusterNodes])
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
