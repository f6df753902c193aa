// Package node builds a node from its rooms, starts it, drains it and stops it.
// It is the one place that knows all of them; nothing below knows it.
//
// A node starts from the bottom up: the data directory is locked and its
// identity checked, the store opened, the log replayed into it, the group
// started, the coordinator, and last the faces begin to serve. It stops in the
// opposite order. The addresses are bound first, so that a port in use is told
// before a long replay, and the admin port answers from then on.
package node

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/sheafdb/sheaf/internal/admission"
	"github.com/sheafdb/sheaf/internal/cluster"
	"github.com/sheafdb/sheaf/internal/config"
	"github.com/sheafdb/sheaf/internal/coordinator"
	"github.com/sheafdb/sheaf/internal/failpoint"
	"github.com/sheafdb/sheaf/internal/feed"
	"github.com/sheafdb/sheaf/internal/group"
	"github.com/sheafdb/sheaf/internal/replica"
	"github.com/sheafdb/sheaf/internal/rpc"
	"github.com/sheafdb/sheaf/internal/store"
	"github.com/sheafdb/sheaf/internal/telemetry"
	"github.com/sheafdb/sheaf/internal/wal"
	"github.com/sheafdb/sheaf/internal/web"
)

// Options are what a node needs beside its configuration.
type Options struct {
	Version string
	Logger  *slog.Logger
	// FS is the file system of the data directory; nil is the real one.
	FS vfs.FS
	// HungAfter is how long one write of the log may take before the node ends, so that
	// another leads; 0 is the default. A node alone waits.
	HungAfter time.Duration
	// TailBytes is how much of the newest log entries stays in memory for nodes that are a
	// little behind, of each group, and of those behind a state that is sent; 0 is the default.
	TailBytes int64
	// Tracing adds OpenTelemetry spans, to the global tracer provider.
	Tracing bool
}

// Node is one running node.
type Node struct {
	cfg     config.Config
	opts    Options
	dir     *dataDir
	disk    *diskGuard
	hosted  []*hosted           // by group
	groups  []coordinator.Group // the same as the coordinator sees them
	bridge  *cluster.Bridge     // nil in a node alone
	log     *wal.Log
	journal *group.Journal
	feed    *feed.Feed
	core    *coordinator.Coordinator
	gate    *admission.Gate
	rpc     *rpc.Server
	web     *http.Server
	admin   *http.Server
	api     apiHandler
	ports   listeners
	metrics *telemetry.Metrics
	began   time.Time

	state    atomic.Pointer[string] // what GetStatus says; never nil
	serving  sync.WaitGroup         // the goroutines that run the faces
	failOnce sync.Once
	failure  error
	life     context.Context // until Stop
	end      context.CancelFunc
	watching sync.WaitGroup
	up       atomic.Bool            // groups are there
	waitsFor atomic.Pointer[string] // the nodes that are yet to be met; nil is unknown
	begins   atomic.Bool            // the node has begun a cluster of its own since it was started
	foreigns foreigners
	removed  atomic.Bool // no member any more
	left     atomic.Bool // no member any more, and no group needs the node's replicas
	// backingUp: a backup is being made.
	backingUp atomic.Bool
	news      chan struct{} // one token when the members may have changed
	done      chan struct{} // closed when the node has failed or stopped
	stopOnce  sync.Once
	stopErr   error
}

// Start builds a node and returns when it serves. ctx bounds the start only.
func Start(ctx context.Context, cfg config.Config, opts Options) (*Node, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if opts.FS == nil {
		opts.FS = failpoint.FS(vfs.Default)
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	n := &Node{
		cfg: cfg, opts: opts, began: time.Now(), done: make(chan struct{}), news: make(chan struct{}, 1),
		gate: admission.NewGate(cfg.Limits.InFlightBytes), foreigns: foreigners{called: make(chan struct{}, 1)},
	}
	n.life, n.end = context.WithCancel(context.Background())
	n.setState(stateRecovering)
	if err := n.start(ctx); err != nil {
		n.release()
		return nil, n.advise(err)
	}
	return n, nil
}

func (n *Node) start(ctx context.Context) error {
	var err error
	if n.dir, err = openDataDir(n.opts.FS, n.cfg.DataDir, n.cfg.Store); err != nil {
		return err
	}
	if err := n.listen(); err != nil {
		return err
	}
	n.serveAdmin()
	if n.disk, err = startDiskGuard(n); err != nil {
		return err
	}
	if err := n.join(ctx); err != nil {
		return err
	}
	if err := n.recover(ctx); err != nil {
		return err
	}
	if err := n.dir.claim(); err != nil {
		return err
	}
	n.journal = group.NewJournal(n.log, n.opts.Logger)
	for i, h := range n.hosted {
		if err := n.startGroup(ctx, h); err != nil {
			for _, running := range n.hosted[:i] {
				running.group.Stop()
			}
			return err
		}
	}
	n.watching.Go(n.tickFeed)
	n.groups = n.reached()
	n.up.Store(true)
	if n.bridge != nil {
		n.watching.Go(n.watchMembers)
		n.watching.Go(n.watchLog)
	}
	n.core = coordinator.New(coordinator.Config{
		Groups: n.groups, Feed: n.feed, Gate: n.gate, Limits: n.cfg.Limits.SheafLimits(), RequireETag: n.cfg.RequireETag,
		EventualBytes: n.cfg.Eventual.QueueBytes, EventualWindow: n.cfg.Eventual.Window, Logger: n.opts.Logger,
	})
	n.serve()
	return nil
}

// hosted is a group that the node has a replica of.
type hosted struct {
	id       uint64
	place    *place
	recovery *group.Recovery
	saved    replica.Saved
	group    *group.Group
}

// open finds a group's state.
func (n *Node) open(id uint64) error {
	h := &hosted{id: id}
	var err error
	if h.place, err = openPlace(n, id); err != nil {
		return err
	}
	n.hosted = append(n.hosted, h)
	if !n.dir.identity.Joined { // else it comes from another node
		if err := group.Seed(h.place.current(), n.voters()); err != nil {
			return fmt.Errorf("begin the %s store: %w", n.cfg.Store, err)
		}
	}
	h.recovery = group.NewRecovery(id, h.place.current(), n.tailBytes(), n.feed.Lane(id), n.opts.Logger)
	h.recovery.Adopted(h.place.state.Adopted)
	return nil
}

// hungAfter is long for a disk that only is slow, and short for callers who wait.
const hungAfter = 10 * time.Second

// watchLog ends the node when its disk hangs.
func (n *Node) watchLog() {
	if err := n.journal.Watch(n.life, cmp.Or(n.opts.HungAfter, hungAfter)); err != nil {
		n.fail(err)
	}
}

// startGroup runs a group that has been recovered.
func (n *Node) startGroup(ctx context.Context, h *hosted) (err error) {
	h.group, err = group.Start(ctx, group.Config{
		ID: h.id, Replica: n.dir.identity.ID, Store: h.place.current(), Log: n.log, Journal: n.journal,
		Saved: h.saved, Incarnation: uint64(n.began.UnixNano()),
		Send: n.sender(h.id), Place: h.place, Changed: n.changed, Feed: n.feed.Lane(h.id), TailBytes: n.tailBytes(), TailMostBytes: n.tailMostBytes(), ReceiveBytes: n.receiveBytes(), Limits: n.cfg.Limits.SheafLimits(), Gate: n.gate,
		Room: n.disk.room, Free: n.disk.free, LogBytes: n.disk.sizes.log, LogMostBytes: n.disk.sizes.logMost, Now: time.Now, Fatal: n.fail, Logger: n.opts.Logger,
	})
	return err
}

// recover opens the stores and brings them up to date from the log.
func (n *Node) recover(ctx context.Context) error {
	groups := uint64(n.dir.identity.Groups)
	n.feed = n.newFeed()
	for id := range groups {
		if err := n.open(id + 1); err != nil {
			return err
		}
	}
	began := time.Now()
	var err error
	n.log, err = wal.Open(wal.Config{
		FS: n.opts.FS, Dir: n.dir.logDir(), SegmentBytes: n.disk.sizes.segment, Recycled: n.disk.sizes.recycled, Logger: n.opts.Logger,
		Found: func(s wal.HardState) {
			if s.Group >= 1 && s.Group <= groups {
				n.hosted[s.Group-1].recovery.Found(s)
			}
		},
	}, func(e wal.Entry) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if e.Group < 1 || e.Group > groups {
			return store.Corruptf(n.dir.logDir(), "it has an entry of group %d, and there are %d groups", e.Group, groups)
		}
		return n.hosted[e.Group-1].recovery.Visit(e)
	})
	if err != nil {
		return fmt.Errorf("open the log: %w", err)
	}
	count := uint64(0)
	for _, h := range n.hosted {
		if last := n.log.EndIndex(h.id); n.dir.fresh && last > 0 {
			return store.Corruptf(n.dir.file(identityFile), "the file is missing, but the log has been written to, up to entry %d", last)
		}
		if h.saved, err = h.recovery.Saved(n.log); err != nil {
			return err
		}
		count += h.recovery.Count()
		h.recovery = nil
	}
	n.feed.Recovered()
	if count > 0 {
		n.opts.Logger.Info("log replayed", "entries", count, "took_ms", time.Since(began).Milliseconds())
	}
	return nil
}

// serve opens the faces to requests.
func (n *Node) serve() {
	n.rpc.SetCore(n.core)
	n.api.set(web.New(web.Config{
		Coordinator: n.core, Gate: n.gate, Limits: n.cfg.Limits.SheafLimits(),
		Metrics: n.metrics, Ready: n.ready, Logger: n.opts.Logger,
	}))
	// What it has learned until here, that it is damaged or removed, stays.
	if n.swapState(stateRecovering, stateServing) && n.gate.NoSpace() {
		n.swapState(stateServing, stateNoSpace)
	}
	n.disk.watch()
}

// fail ends the node: something it cannot work without is broken.
func (n *Node) fail(err error) {
	n.failOnce.Do(func() {
		err = n.advise(err)
		n.opts.Logger.Error("the node must end", "err", err)
		if n.bridge != nil { // whoever hears no others leads nothing
			for id := range uint64(n.dir.identity.Groups) {
				n.bridge.Detach(id + 1)
			}
		}
		n.failure = err
		close(n.done)
	})
}

// Done is closed when the node has failed; Err then says why. A process must
// end then, without Stop: what is on disk decides at the next start.
func (n *Node) Done() <-chan struct{} { return n.done }

// Err is why the node failed, or nil.
func (n *Node) Err() error {
	select {
	case <-n.done:
		return n.failure
	default:
		return nil
	}
}

// Addrs returns the addresses that the node listens on.
func (n *Node) Addrs() (grpc, http, admin string) {
	return addrOf(n.ports.grpc), addrOf(n.ports.http), addrOf(n.ports.admin)
}

func addrOf(l net.Listener) string {
	if l == nil {
		return ""
	}
	return l.Addr().String()
}

// Store is the name of the node's store.
func (n *Node) Store() string { return n.cfg.Store }

// DataDir is the node's data directory.
func (n *Node) DataDir() string { return n.dir.path }
