package contract

import (
	"cmp"
	"context"
	"log/slog"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	sheafv1 "github.com/sheafdb/sheaf/api/sheaf/v1"
	"github.com/sheafdb/sheaf/internal/config"
	"github.com/sheafdb/sheaf/internal/node"
)

// target is a node on real ports, and a connection of each kind to it.
type target struct {
	*node.Node
	dir    string
	conn   *grpc.ClientConn
	kv     sheafv1.KVServiceClient
	client *http.Client

	grpcAddr, httpAddr, adminAddr string
}

// groups is how many the nodes of the suite have; CONTRACT_GROUPS sets it. What is promised
// is the same with any number.
func groups() int {
	n, err := strconv.Atoi(cmp.Or(os.Getenv("CONTRACT_GROUPS"), "1"))
	if err != nil {
		panic("CONTRACT_GROUPS: " + err.Error())
	}
	return n
}

// oneGroup skips a test of what is so with one group only.
func oneGroup(t *testing.T) {
	t.Helper()
	if groups() != 1 {
		t.Skip("with several groups this is another matter")
	}
}

// patience bounds every wait of the suite: it is no promise, only the difference
// between slow and stuck.
const patience = 30 * time.Second

// start runs a node over dir until the test ends.
func start(t testing.TB, dir string, fs vfs.FS, change func(*config.Config)) *target {
	t.Helper()
	n, err := launch(dir, fs, change)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.shut)
	return n
}

func launch(dir string, fs vfs.FS, change func(*config.Config)) (*target, error) {
	cfg := config.Default()
	cfg.DataDir = filepath.Join(dir, "node")
	cfg.GRPCAddr, cfg.HTTPAddr, cfg.AdminAddr = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	// Small files: a node of the suite holds a few megabytes, and many run at once.
	cfg.Log.MaxBytes, cfg.Pebble.CacheBytes, cfg.Disk.BallastBytes = 256<<20, 8<<20, 1<<20
	cfg.DrainTimeout = 5 * time.Second
	cfg.Groups = groups()
	if change != nil {
		change(&cfg)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	n, err := node.Start(ctx, cfg, node.Options{Version: "contract", Logger: slog.New(slog.DiscardHandler), FS: fs})
	if err != nil {
		return nil, err
	}
	on := &target{Node: n, dir: cfg.DataDir, client: &http.Client{Transport: &http.Transport{DisableCompression: true}, Timeout: patience}}
	on.grpcAddr, on.httpAddr, on.adminAddr = n.Addrs()
	on.conn, err = grpc.NewClient("passthrough:///"+on.grpcAddr, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDisableServiceConfig(), grpc.WithDefaultCallOptions(
			grpc.MaxCallRecvMsgSize(math.MaxInt32), grpc.MaxCallSendMsgSize(math.MaxInt32)))
	on.kv = sheafv1.NewKVServiceClient(on.conn)
	return on, err
}

// shut ends the connections and the node; a second time it does nothing.
func (n *target) shut() {
	n.client.CloseIdleConnections()
	_ = n.conn.Close()               // closed twice is no matter
	_ = n.Stop(context.Background()) // a node that was made to fail says so again
}

// faces are both ways into the node.
func (n *target) faces() []face { return []face{grpcFace{n}, httpFace{n}} }

// eachFace runs a test over both faces of a node.
func eachFace(t *testing.T, n *target, test func(t *testing.T, f face)) {
	t.Helper()
	for _, f := range n.faces() {
		t.Run(f.name(), func(t *testing.T) { test(t, f) })
	}
}

// shared are nodes that many tests use, each with keys of its own. They start when
// the first test asks and stop when the suite is over. A test that is run again
// (-count) would meet its own keys, so it begins a new node.
var shared = struct {
	sync.Mutex
	nodes map[string]*target
	used  map[*target]map[string]bool // by the names of tests
	dirs  []string
}{nodes: make(map[string]*target), used: make(map[*target]map[string]bool)}

// sharedNode returns the node of a name, which says how it is configured.
func sharedNode(t testing.TB, name string) *target {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if n := shared.nodes[name]; n != nil && !shared.used[n][t.Name()] {
		shared.used[n][t.Name()] = true
		return n
	}
	change := map[string]func(*config.Config){
		"pebble": nil,
		"memory": func(c *config.Config) { c.Store = "memory" },
		"strict": func(c *config.Config) { c.RequireETag, c.RequireRequestID = true, true },
		"small":  smallLimits,
	}
	dir, err := os.MkdirTemp("", "contract-"+name)
	if err != nil {
		t.Fatal(err)
	}
	n, err := launch(dir, nil, change[name])
	if err != nil {
		t.Fatal(err)
	}
	shared.nodes[name], shared.used[n] = n, map[string]bool{t.Name(): true}
	shared.dirs = append(shared.dirs, dir)
	return n
}

// The limits of the node "small".
const (
	smallEntries  = 8
	smallBatch    = 64 << 10
	smallKey      = 64
	smallValue    = 16 << 10
	smallInFlight = 4 * smallBatch
)

func smallLimits(c *config.Config) {
	c.Limits.BatchEntries, c.Limits.BatchBytes = smallEntries, smallBatch
	c.Limits.KeyBytes, c.Limits.ValueBytes, c.Limits.InFlightBytes = smallKey, smallValue, smallInFlight
}

func stopShared() {
	for n := range shared.used {
		n.shut()
	}
	for _, dir := range shared.dirs {
		_ = os.RemoveAll(dir) // it is in the system's temporary directory
	}
}

// await waits until a condition holds.
func await(t testing.TB, what string, holds func() bool) {
	t.Helper()
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(patience); !holds(); <-ticker.C {
		if time.Now().After(deadline) {
			t.Fatalf("waited %s in vain until %s", patience, what)
		}
	}
}
