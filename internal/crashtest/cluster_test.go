package crashtest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/sheafdb/sheaf/client"
	"github.com/sheafdb/sheaf/internal/freeport"
)

// maxNodes is five, and a place for one that comes and goes.
const maxNodes = 6

// testCluster are processes that can be broken, with proxies between them.
type testCluster struct {
	t     *testing.T
	store string
	more  []string // flags
	// nodes is how many there are but for the visitor, who has the place behind them.
	nodes int
	links *links
	dirs  [maxNodes]string
	addrs [maxNodes]string // of gRPC, which stay
	rules string           // directory of the files with the rules of failpoints
	// disks are held by who has a rule for a node's disk in force: another would take it away.
	disks [maxNodes]sync.Mutex
	// names of the nodes; one that was replaced has another, and joins instead of being one of
	// the first.
	names    [maxNodes]string
	replaced [maxNodes]bool
	made     int // names given

	mu       sync.Mutex
	procs    [maxNodes]*process // nil while there is none
	clients  [maxNodes]*client.Client
	launched []*process

	coordinatorsEnded, refusedStarts int
}

// newCluster starts one and waits until it serves.
func newCluster(t *testing.T, nodes int, store string, more ...string) *testCluster {
	t.Helper()
	c := prepareCluster(t, nodes, store, more...)
	for i := range nodes {
		c.launch(i)
	}
	for i := range nodes {
		c.proc(i).mustBeReady(t)
	}
	return c
}

func prepareCluster(t *testing.T, nodes int, store string, more ...string) *testCluster {
	t.Helper()
	c := &testCluster{t: t, store: store, more: more, nodes: nodes, links: newLinks(t, nodes+1), rules: t.TempDir()}
	for i := range nodes + 1 {
		c.dirs[i], c.addrs[i] = t.TempDir(), freeport.Addr(t)
		c.names[i] = fmt.Sprintf("n%d", i+1)
	}
	c.replaced[nodes] = true
	c.made = nodes + 1
	return c
}

// launch starts a node and does not wait.
func (c *testCluster) launch(i int) {
	c.t.Helper()
	program, err := buildBreakable()
	if err != nil {
		c.t.Fatal(err)
	}
	var members []string
	for j, p := range c.links.proxies[:c.nodes] {
		members = append(members, fmt.Sprintf("n%d=%s", j+1, p.listener.Addr()))
	}
	args := append(serveArgs(c.dirs[i], c.store), "--grpc-addr", c.addrs[i],
		"--node", c.names[i], "--peer-addr", c.links.proxies[i].target, "--log-max-bytes", "8MiB")
	if c.replaced[i] {
		args = append(args, "--join", c.links.proxies[(i+1)%c.nodes].listener.Addr().String())
	} else {
		args = append(args, "--cluster", strings.Join(members, ","))
	}
	p := launchIn(c.t, []string{"FAILPOINTS=@" + c.ruleFile(i)}, program, append(args, c.more...)...)
	c.links.pids[i].Store(int64(p.cmd.Process.Pid))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.procs[i] = p
	c.launched = append(c.launched, p)
}

func (c *testCluster) ruleFile(i int) string { return filepath.Join(c.rules, fmt.Sprint(i)) }

// inject puts rules of failpoints into force at a node, "" ends them; see internal/failpoint.
func (c *testCluster) inject(i int, rules string) {
	name := c.ruleFile(i)
	err := os.WriteFile(name+".new", []byte(rules), 0o600)
	if err == nil {
		err = os.Rename(name+".new", name)
	}
	if err != nil {
		c.t.Error(err)
	}
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

// restart starts a node that has ended, and waits until it serves.
func (c *testCluster) restart(i int) {
	c.t.Helper()
	c.launch(i)
	c.proc(i).mustBeReady(c.t)
}

// everybody are the addresses of all nodes, for a client of all.
func (c *testCluster) everybody() string { return strings.Join(c.addrs[:c.nodes], ",") }

// leader is the node that said last that it leads, as far as the logs of those that run say.
func (c *testCluster) leader() int {
	best, term := 0, -1
	for i := range c.nodes {
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

// said counts the lines with some words in the logs of all processes there ever were.
func (c *testCluster) said(words string) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.launched {
		n += strings.Count(p.stderr.String(), words)
	}
	return n
}
