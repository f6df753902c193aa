// Package group runs one replica of a group: it puts commands into the log, applies what is
// committed, and answers reads.
//
// A command walks: inbox → loop (replica.Core) → journal (one write and one fsync for all
// groups that are ready) → loop → applier → answer. Each is a goroutine of its own, so an
// fsync overlaps the apply of what was committed before it, and the loop, which answers
// other replicas, waits for neither. Nothing ever waits to gather a bigger round: the
// running fsync is the window. A node alone is a group of one replica on the same path.
//
// Invariants:
//   - A command is applied only when it is committed: when a quorum of the replicas, this
//     one among them, has it on disk. In log order, without a gap.
//   - A caller is answered only after its command is applied.
//   - The store is never ahead of the log beside it, but for a state that was taken over
//     from another replica, and a new group's first entry.
//   - A failed write of the log or the store ends the process; it is not retried.
//
// The package knows no other group, no request format and no routing, and of the network
// only a function that sends.
package group

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/admission"
	"github.com/sheafdb/sheaf/internal/apply"
	"github.com/sheafdb/sheaf/internal/feed"
	"github.com/sheafdb/sheaf/internal/replica"
	"github.com/sheafdb/sheaf/internal/store"
	"github.com/sheafdb/sheaf/internal/wal"
	"github.com/sheafdb/sheaf/internal/wire"
)

// Place has the directories of one group's states.
type Place interface {
	// ForCopy names a directory that is not there, for a copy of the state.
	ForCopy() string
	// Adopt makes the state in dir, at log entry index, the group's durably and in one
	// step, and opens it. The state before stays open, and is removed by Discard.
	Adopt(dir string, index uint64) (store.Store, error)
	// Discard closes a store, if it is not nil, and removes what is not the group's state
	// any more, or is a copy that nobody needs.
	Discard(s store.Store, dir string)
}

// Config is what a group needs. The group owns neither log nor store: whoever
// opened them closes them, after Stop.
type Config struct {
	// ID is the group's number in the log, Replica this replica's among its group's.
	ID, Replica uint64
	Store       store.Store
	Log         *wal.Log
	// Saved is what Recovery has found, Incarnation differs from that of every earlier
	// run.
	Saved       replica.Saved
	Incarnation uint64
	Journal     *Journal
	// Send gives messages to other replicas, or loses them. It must not wait. nil is for
	// a group that has no others.
	Send func([]*pb.Message)
	// Place is where states come from and go to, as a whole; nil in a group that will never
	// have another replica.
	Place Place
	// Changed, if not nil, is called when the members of the cluster, in its first group, or
	// this group's replicas may have changed. It must not wait.
	Changed func()
	// TailBytes of the newest log entries stay in memory for replicas that are behind.
	// While one of them catches up from a state that it was sent, those behind that state do,
	// up to TailMostBytes if that is more.
	TailBytes, TailMostBytes int64
	// ReceiveBytes bounds the log entries that another replica has sent and that are not in the
	// log yet, or not applied, but for a single larger message; 0 is no bound.
	ReceiveBytes int64
	// Feed, if not nil, is told what every log entry did that changed a key.
	Feed *feed.Lane
	// Limits stamps retention and the number of rows into commands.
	Limits sheaf.Limits
	// Gate counts the bytes of commands whose callers have gone.
	Gate *admission.Gate
	// LogBytes bounds the log: at half of it the store is flushed so that the
	// log can be cut, at all of it writers wait for that. For a store whose flush
	// writes the whole state the bound is twice what that takes, if that is more, but not
	// above LogMostBytes; 0 is LogBytes.
	LogBytes, LogMostBytes int64
	// Room says NO_SPACE when the disk should take no more writes. It is asked
	// before every round, so that a fast writer cannot outrun it.
	Room func() error
	// Free returns the free bytes of the disk, negative when they are not known.
	Free func() int64
	// Now is the wall clock.
	Now func() time.Time
	// Fatal is called once, with the reason why the process must end.
	Fatal  func(error)
	Logger *slog.Logger
}

// The pace of raft: a follower that hears nothing for one to two electionTicks stands for
// election.
const (
	tickInterval   = 50 * time.Millisecond
	electionTicks  = 10
	heartbeatTicks = 2
)

// Bounds of what raft hands out at a time.
const (
	messageBytes  = 4 << 20
	inflightBytes = 64 << 20
	applyBytes    = 64 << 20
)

// Group is one replica of a group.
type Group struct {
	cfg    Config
	store  *seat
	inbox  inbox
	flying flights
	loop   loop
	tasks  *queue[task]
	out    store.Mutations // the applier's

	office  atomic.Pointer[replica.Office] // never nil
	alone   atomic.Bool                    // see replica.Core.Alone
	only    atomic.Bool                    // see replica.Core.Only
	applied atomic.Uint64                  // the last index applied
	clock   atomic.Uint64                  // the largest version given
	stateMS atomic.Uint64                  // the state's time
	wallMS  atomic.Uint64                  // the largest time that nowMS returned
	scans   atomic.Int64                   // that are open
	reading atomic.Int64                   // callers in Current
	// backlog are the bytes of the entries on their way to the log, and of those that wait to
	// be applied beyond what the tail may have.
	backlog atomic.Int64

	copies    copies
	cut       cutter
	stopping  chan struct{}
	stopOnce  sync.Once
	loopDone  chan struct{}
	applyDone chan struct{}
	tickDone  chan struct{}
	failOnce  sync.Once
	failed    chan struct{} // closed by fail, for the reason failure
	failure   error
}

// Start runs a group whose log has been replayed into its store (see Recovery). A replica
// that is alone leads when Start returns.
func Start(ctx context.Context, cfg Config) (*Group, error) {
	if cfg.Send == nil {
		cfg.Send = func([]*pb.Message) {}
	}
	g := &Group{
		cfg:       cfg,
		store:     newSeat(cfg.Store),
		tasks:     newQueue[task](),
		stopping:  make(chan struct{}),
		loopDone:  make(chan struct{}),
		applyDone: make(chan struct{}),
		tickDone:  make(chan struct{}),
		failed:    make(chan struct{}),
	}
	meta := viewMeta(cfg.Store)
	g.copies.g, g.copies.kept = g, make(map[string]*copied)
	core, err := newCore(&cfg, g.copies.snapshot)
	if err != nil {
		return nil, store.Corruptf(cfg.Log.Dir(), "%v: acknowledged batches are missing", err)
	}
	g.loop.core, g.loop.stampedMS = core, meta.NowMS
	g.loop.waiters, g.loop.readers = make(map[replica.Token]waiter), make(map[replica.Token]*read)
	g.inbox.signal = make(chan struct{}, 1)
	g.office.Store(&replica.Office{})
	g.applied.Store(meta.Index)
	g.clock.Store(meta.Clock)
	g.stateMS.Store(meta.NowMS)
	g.wallMS.Store(meta.NowMS)
	g.cut.init(g)
	cfg.Journal.join(g)
	only := slices.Equal(cfg.Saved.Conf.GetVoters(), []uint64{cfg.Replica})
	if only {
		core.Campaign()
		g.inbox.wake()
	}
	go g.runLoop()
	go g.runApply()
	go g.runTick()
	if only {
		if err := g.current(ctx, nil, 0); err != nil { // however slow its disk is
			g.Stop()
			return nil, errors.Join(err, g.failure) // after Stop nothing sets it
		}
	}
	return g, nil
}

func newCore(cfg *Config, snapshot replica.Snapshotter) (*replica.Core, error) {
	tail, err := replica.NewTail(cfg.Saved, snapshot)
	if err != nil {
		return nil, err
	}
	return replica.New(replica.Config{
		ID: cfg.Replica, Incarnation: cfg.Incarnation, Tail: tail, Applied: cfg.Saved.AppliedIndex,
		ElectionTicks: electionTicks, HeartbeatTicks: heartbeatTicks,
		MessageBytes: messageBytes, InflightBytes: inflightBytes, ApplyBytes: applyBytes,
		Logger: cfg.Logger.With("group", cfg.ID),
	})
}

// Applied is the log entry that this replica's state is at.
func (g *Group) Applied() uint64 { return g.applied.Load() }

// Stop refuses new commands, finishes those it has, and returns when all is
// applied. It does not flush the store.
func (g *Group) Stop() {
	g.stopOnce.Do(func() { close(g.stopping) })
	<-g.tickDone
	g.inbox.close()
	<-g.loopDone
	g.tasks.close()
	<-g.applyDone
	_ = g.cut.wait() // a failed run was logged, and costs only a longer replay
	g.copies.end()
}

// Cut begins to flush the store and cut the log, if it is not at it.
func (g *Group) Cut() { g.cut.start(true) }

// nowMS is the wall clock, which here never goes back. Reads judge expiry by it
// too, because the state's own clock stands still while the disk does; a command
// stamped later is never earlier than what a read has seen.
func (g *Group) nowMS() uint64 {
	now := uint64(g.cfg.Now().UnixMilli())
	for {
		last := g.wallMS.Load()
		if now <= last {
			return last
		}
		if g.wallMS.CompareAndSwap(last, now) {
			return now
		}
	}
}

// Status is what a group says of itself.
type Status struct {
	Meta     store.Meta
	Durable  uint64
	LogBytes int64
}

// Status reads the group's state.
func (g *Group) Status() Status {
	return Status{
		Meta:     viewMeta(g.store),
		Durable:  g.store.Durable(),
		LogBytes: g.cfg.Log.SizeBytes(),
	}
}

func viewMeta(s store.Store) store.Meta {
	view := s.View()
	defer view.Close() //nolint:errcheck // a view that was only asked for its Meta
	return view.Meta()
}

// fail ends the group: nothing is acknowledged from here on.
func (g *Group) fail(err error) {
	g.failOnce.Do(func() {
		g.inbox.close()
		g.failure = err
		close(g.failed)
		g.cfg.Fatal(err)
	})
}

// Propose puts one command into the log and returns what it did, once it is on
// disk and applied. It stamps time and limits into cmd, which must not be
// touched until it returns; after an error not at all, because the command may still be
// on its way. The bytes that cmd views are read until then too: the group holds
// cmd.Source for as long as it needs.
//
// Errors are *sheaf.Error: NOT_PROPOSED while nothing was done, OUTCOME_UNKNOWN
// afterwards, DRAINING, NO_SPACE, RATE_LIMITED. A refusal by the state machine
// is not an error but Result.Refused.
func (g *Group) Propose(ctx context.Context, cmd *wire.Command) (apply.Result, Timing, error) {
	if refusal := apply.CheckAfter(cmd.After, g.clock.Load()); refusal != nil {
		return apply.Result{Refused: refusal}, Timing{}, nil // before the request ID: it is the shape
	}
	if cmd.RequestID != "" && (cmd.Kind == wire.Fast || cmd.Kind == wire.Bundle) { // the others are small, or may not be answered from a row
		if err := g.flying.enter(ctx, cmd.RequestID); err != nil {
			return apply.Result{}, Timing{}, &sheaf.Error{
				Code: sheaf.NotProposed, Err: err,
				Detail: "gave up while an earlier attempt with this request ID was still at work",
			}
		}
		defer g.flying.leave(cmd.RequestID)
		if result, answered, err := g.Check(cmd); err != nil || answered {
			return result, Timing{}, err
		}
	}
	if !g.office.Load().Leading {
		return apply.Result{}, Timing{}, g.notLeader()
	}
	p := g.newProposal(cmd)
	if err := g.propose(ctx, p); err != nil {
		return apply.Result{}, Timing{}, err
	}
	defer p.reuse()
	if p.err != nil {
		return apply.Result{}, Timing{}, p.err
	}
	return p.results[0], p.timing, nil
}

// ProposeAll is Propose for many independent commands in one round; each has
// its own result. It does not look for known request IDs first: apply does. logged, if
// not nil, is closed when the commands are committed, which is before they are applied.
func (g *Group) ProposeAll(ctx context.Context, cmds []*wire.Command, logged chan<- struct{}) ([]apply.Result, error) {
	p := g.newProposal(cmds...)
	p.onDisk = logged
	if err := g.propose(ctx, p); err != nil {
		return nil, err
	}
	defer p.reuse()
	return slices.Clone(p.results), p.err
}

// Check answers what can be answered without the log: a command whose request
// ID the state remembers, and one that apply is certain to refuse. Apply checks
// all of it again.
func (g *Group) Check(cmd *wire.Command) (apply.Result, bool, error) {
	view := g.store.View()
	defer view.Close() //nolint:errcheck // reading is over
	g.stamp(cmd, g.nowMS())
	result, answered, err := apply.Check(cmd, view)
	if err != nil {
		return apply.Result{}, false, readError(err)
	}
	return result, answered, nil
}

// readError is the *sheaf.Error for a read of the store that failed; nil for none, and what is
// one already stays.
func readError(err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*sheaf.Error](err); ok {
		return e
	}
	if errors.Is(err, store.ErrCorrupt) {
		return &sheaf.Error{Code: sheaf.Corruption, Detail: err.Error()}
	}
	return &sheaf.Error{Code: sheaf.Internal, Detail: "read the store", Err: err}
}
