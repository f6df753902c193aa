// Package group runs one replica group: it puts commands into the log, applies
// what is committed, and answers reads.
//
// A command walks: inbox → log (one write and one fsync for all that wait) →
// applier → answer. Two goroutines do this, so the fsync of one round overlaps
// the apply of the round before. Nothing ever waits to gather a bigger round:
// the running fsync is the window.
//
// Invariants:
//   - A command is applied only after the log has it on disk, in log order.
//   - A caller is answered only after its command is applied, so a read of the
//     store that begins after an answer sees it: reads need nothing more to be
//     linearizable.
//   - The log's indexes have no gap, and the store is never ahead of the log.
//   - A failed write of the log or the store ends the process; it is not retried.
//
// This group has a single replica, itself: a command is committed when its own
// log has it. It knows no other node, no request format and no routing.
package group

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/admission"
	"github.com/sheafdb/sheaf/internal/apply"
	"github.com/sheafdb/sheaf/internal/store"
	"github.com/sheafdb/sheaf/internal/wal"
	"github.com/sheafdb/sheaf/internal/wire"
)

// Config is what a group needs. The group owns neither log nor store: whoever
// opened them closes them, after Stop.
type Config struct {
	// ID is the group's number in the log.
	ID    uint64
	Store store.Store
	Log   *wal.Log
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

// term is raft's: a single replica never holds an election.
const term = 1

// roundsAhead bounds how many rounds may be logged and not yet applied.
const roundsAhead = 4

// Group is one replica group with one replica.
type Group struct {
	cfg    Config
	inbox  inbox
	flying flights
	rounds chan round
	// lists are those of rounds that were applied, to be filled again.
	lists chan []*proposal

	writer  logWriter     // owned by runLog
	applied atomic.Uint64 // the last index applied
	clock   atomic.Uint64 // the largest version given
	wallMS  atomic.Uint64 // the largest time that nowMS returned
	scans   atomic.Int64  // that are open

	cut       cutter
	stopping  chan struct{}
	stopOnce  sync.Once
	logDone   chan struct{}
	applyDone chan struct{}
	tickDone  chan struct{}
	failOnce  sync.Once
	failed    chan struct{} // closed by fail
}

// Start runs a group whose log has been replayed into its store (see Replay).
func Start(cfg Config) (*Group, error) {
	meta := viewMeta(cfg.Store)
	if last := cfg.Log.EndIndex(cfg.ID); last != meta.Index {
		return nil, store.Corruptf(cfg.Log.Dir(), "the log ends at entry %d but the store is at %d: acknowledged batches are missing", last, meta.Index)
	}
	g := &Group{
		cfg:       cfg,
		rounds:    make(chan round, roundsAhead),
		lists:     make(chan []*proposal, roundsAhead),
		writer:    logWriter{lastIndex: meta.Index, stampedMS: meta.NowMS},
		stopping:  make(chan struct{}),
		logDone:   make(chan struct{}),
		applyDone: make(chan struct{}),
		tickDone:  make(chan struct{}),
		failed:    make(chan struct{}),
	}
	g.inbox.signal = make(chan struct{}, 1)
	g.applied.Store(meta.Index)
	g.clock.Store(meta.Clock)
	g.wallMS.Store(meta.NowMS)
	g.cut.init(g)
	go g.runLog()
	go g.runApply()
	go g.runTick()
	return g, nil
}

// Stop refuses new commands, finishes those it has, and returns when all is
// applied. It does not flush the store.
func (g *Group) Stop() {
	g.stopOnce.Do(func() { close(g.stopping) })
	<-g.tickDone
	g.inbox.close()
	<-g.logDone
	<-g.applyDone
	_ = g.cut.wait() // a failed run was logged, and costs only a longer replay
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
		Meta:     viewMeta(g.cfg.Store),
		Durable:  g.cfg.Store.Durable(),
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
	if cmd.RequestID != "" {
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
// not nil, is closed when the commands are on disk, which is before they are applied.
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
	view := g.cfg.Store.View()
	defer view.Close() //nolint:errcheck // reading is over
	g.stamp(cmd, g.nowMS())
	result, answered, err := apply.Check(cmd, view)
	if err != nil {
		return apply.Result{}, false, readError(err)
	}
	return result, answered, nil
}

// readError is the *sheaf.Error for a read of the store that failed.
func readError(err error) error {
	if errors.Is(err, store.ErrCorrupt) {
		return &sheaf.Error{Code: sheaf.Corruption, Detail: err.Error()}
	}
	return &sheaf.Error{Code: sheaf.Internal, Detail: "read the store", Err: err}
}
