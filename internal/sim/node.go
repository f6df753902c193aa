package sim

import (
	"encoding/binary"
	"log/slog"
	"time"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/sheafdb/sheaf/internal/apply"
	"github.com/sheafdb/sheaf/internal/replica"
	"github.com/sheafdb/sheaf/internal/store"
	"github.com/sheafdb/sheaf/internal/wire"
)

const (
	tickEvery      = 50 * time.Millisecond
	electionTicks  = 10
	heartbeatTicks = 2
)

// node is a replica with its disk, and what a process around it would do.
type node struct {
	w     *World
	group *group
	id    uint64 // in the group
	alive bool
	// life counts the runs of the process: what an earlier one began has no effect.
	life        uint64
	pausedUntil time.Duration
	clockOffset time.Duration

	disk disk

	// The rest is lost in a crash.
	core      *replica.Core
	tail      *replica.Tail
	state     *state
	appends   []*replica.Append // the first is being written if appending
	appending bool
	applies   []*replica.Apply
	applying  bool
	waiters   map[replica.Token]func(answer)
	commits   map[replica.Token]func() // who wants to hear that an entry is committed
	lastToken replica.Token
	out       store.Mutations
}

// answer is what a replica answers a caller.
type answer struct {
	kind   answerKind
	result apply.Result
}

type answerKind int

const (
	done    answerKind = iota // with a result; a read may be served
	notDone                   // nothing was written, nor will be, by this attempt
	unknown
)

// addNode adds a machine with an empty disk to a group's.
func (w *World) addNode(g *group) *node {
	n := &node{w: w, group: g, id: uint64(len(g.replicas) + 1), disk: disk{flushed: newState()}}
	g.replicas = append(g.replicas, n)
	return n
}

// bootstrap makes the first replicas a group: each begins with the same first entry behind
// it.
func (w *World) bootstrap(g *group) {
	var voters []uint64
	for _, n := range g.replicas {
		voters = append(voters, n.id)
	}
	for _, n := range g.replicas {
		n.disk.flushed.meta = store.Meta{Index: 1, Term: 1}
		n.disk.flushed.conf = &pb.ConfState{Voters: voters}
		n.start()
	}
}

// start begins a run of the process.
func (n *node) start() {
	w := n.w
	n.alive = true
	n.life++
	n.state = n.disk.flushed.clone()
	applied := n.state.meta
	if w.cfg.Mutant == ApplyTwice && len(n.disk.entries) > 0 && n.disk.entries[0].GetIndex() < applied.Index {
		applied.Index = max(applied.Index-min(8, applied.Index), n.disk.entries[0].GetIndex())
	}
	var err error
	n.tail, err = replica.NewTail(replica.Saved{
		HardState: n.disk.hard, Conf: n.state.conf, AppliedIndex: applied.Index, AppliedTerm: applied.Term,
		Entries: append([]*pb.Entry(nil), n.disk.entries...),
	}, n.snapshot)
	if err == nil {
		n.core, err = replica.New(replica.Config{
			ID: n.id, Incarnation: n.life, Tail: n.tail, Applied: applied.Index,
			ElectionTicks: electionTicks, HeartbeatTicks: heartbeatTicks,
			MessageBytes: 2 << 10, InflightBytes: 16 << 10, ApplyBytes: 4 << 10,
			Logger: slog.New(slog.DiscardHandler),
		})
	}
	if err != nil {
		w.fail("replica %d does not start: %v", n.id, err)
		n.alive = false
		return
	}
	n.appends, n.appending, n.applies, n.applying = nil, false, nil, false
	n.waiters, n.commits = make(map[replica.Token]func(answer)), make(map[replica.Token]func())
	n.tick()
	n.flushLater()
	n.tidyLater()
}

// crash ends the process. What was on its way to the disk is there or not, in order.
func (n *node) crash() {
	n.alive = false
	n.life++
	for _, a := range n.appends {
		if n.w.chance(2) {
			break
		}
		n.disk.write(n.w, a)
	}
	n.disk.unsynced = nil
	for token := replica.Token(1); token <= n.lastToken; token++ { // a map has no order
		n.tell(token, answer{kind: unknown})
	}
}

// soon makes something happen to this run of the process, and not while it is paused.
func (n *node) soon(delay time.Duration, do func()) {
	life := n.life
	var now func()
	now = func() {
		switch {
		case n.life != life:
		case n.pausedUntil > n.w.now:
			n.w.after(n.pausedUntil-n.w.now, now)
		default:
			do()
		}
	}
	n.w.after(delay, now)
}

func (n *node) tick() {
	n.soon(n.w.between(tickEvery*8/10, tickEvery*12/10), func() {
		n.core.Tick()
		n.turn()
		n.tick()
	})
}

// turn does what there is to do.
func (n *node) turn() {
	for n.w.err == nil {
		work, any := n.core.Work()
		if !any {
			return
		}
		for _, m := range work.Send {
			n.w.send(n, m)
		}
		for _, token := range work.Refused {
			n.tell(token, answer{kind: notDone})
		}
		for _, token := range work.Unknown {
			n.tell(token, answer{kind: unknown})
		}
		for _, token := range work.Reads {
			n.tell(token, answer{kind: done})
		}
		if work.Append != nil {
			n.appends = append(n.appends, work.Append)
			n.beginAppend()
		}
		if work.Apply != nil {
			for i := range work.Apply.Entries {
				n.committed(work.Apply.Entries[i].Token)
			}
			n.applies = append(n.applies, work.Apply)
			n.beginApply()
		}
	}
}

func (n *node) committed(token replica.Token) {
	if told := n.commits[token]; told != nil {
		delete(n.commits, token)
		told()
	}
}

// tell answers a caller, who may have gone.
func (n *node) tell(token replica.Token, a answer) {
	if waiter := n.waiters[token]; waiter != nil {
		delete(n.waiters, token)
		waiter(a)
	}
}

// beginAppend writes the next Append. A snapshot takes the place of a state that nothing
// is being applied to.
func (n *node) beginAppend() {
	w := n.w
	if n.appending || len(n.appends) == 0 {
		return
	}
	a := n.appends[0]
	if a.Snapshot != nil && len(n.applies) > 0 {
		return
	}
	n.appending = true
	delay := w.between(100*time.Microsecond, 3*time.Millisecond)
	if !w.calm && w.chance(100) {
		delay = w.between(50*time.Millisecond, 800*time.Millisecond) // a disk that hangs
	}
	early := w.cfg.Mutant == ReplyBeforeSync
	if early {
		n.reply(a)
	}
	counted := w.cfg.Mutant == LoggedBeforeSync && a.Snapshot == nil
	if counted {
		n.core.Logged(a)
	}
	n.soon(delay, func() {
		switch {
		case w.cfg.Mutant == SkipSync && a.Snapshot == nil && w.chance(10):
			n.disk.unsynced = append(n.disk.unsynced, a)
		default:
			n.disk.write(w, a)
		}
		if a.Snapshot != nil {
			n.state = n.disk.flushed.clone()
			w.stats.Snapshots++
			n.group.restored(w, n)
		}
		n.appends, n.appending = n.appends[1:], false
		if !counted {
			n.core.Logged(a)
		}
		if !early {
			n.reply(a)
		}
		if w.cfg.Mutant == AnswerBeforeCommit {
			n.answerEarly()
		}
		n.beginAppend()
		n.beginApply()
		n.turn()
	})
}

func (n *node) reply(a *replica.Append) {
	for _, m := range a.Replies {
		n.w.send(n, m)
	}
}

func (n *node) beginApply() {
	if n.applying || len(n.applies) == 0 {
		return
	}
	n.applying = true
	a := n.applies[0]
	n.soon(n.w.between(20*time.Microsecond, time.Millisecond), func() {
		for i := range a.Entries {
			n.apply(&a.Entries[i])
		}
		n.applies, n.applying = n.applies[1:], false
		n.core.Applied(a)
		n.beginApply()
		n.beginAppend()
		n.turn()
	})
}

// apply is what a group's applier does with an entry.
func (n *node) apply(e *replica.Committed) {
	w := n.w
	if e.Index != n.state.meta.Index+1 && w.cfg.Mutant != ApplyTwice {
		w.fail("replica %d has applied entry %d and gets %d", n.id, n.state.meta.Index, e.Index)
		return
	}
	if e.Conf != nil && w.cfg.Mutant != ForgetConf {
		n.state.conf = e.Conf
	}
	var result apply.Result
	var cmd wire.Command
	if len(e.Data) == 0 {
		n.state.meta.Index, n.state.meta.Term = e.Index, e.Term
	} else {
		var err error
		if cmd, err = wire.DecodeCommand(e.Data); err != nil {
			w.fail("replica %d cannot read entry %d: %v", n.id, e.Index, err)
			return
		}
		if w.cfg.Mutant == ApplyWithClock {
			cmd.NowMS = n.wallMS()
		}
		if result, err = apply.Apply(&cmd, e.Index, e.Term, n.state, &n.out); err != nil {
			w.fail("replica %d applies entry %d: %v", n.id, e.Index, err)
			return
		}
		n.state.apply(&n.out)
	}
	n.group.applied(w, n, e, &cmd, &result)
	if e.Token != 0 {
		n.tell(e.Token, answer{kind: done, result: result})
	}
}

// flushLater makes the state durable and cuts the log, now and then.
func (n *node) flushLater() {
	n.soon(n.w.between(200*time.Millisecond, 4*time.Second), func() {
		if len(n.appends) == 0 || n.appends[0].Snapshot == nil {
			n.flush()
		}
		n.flushLater()
	})
}

func (n *node) flush() {
	index := n.state.meta.Index
	if n.w.cfg.Mutant == ApplyTwice { // raft has not heard of all of it
		index = min(index, n.core.Status().Applied)
	}
	if n.w.cfg.Mutant == CutAhead {
		n.disk.cut(index)
		n.tail.Trim(0, index)
		return
	}
	n.disk.flushed = n.state.clone()
	// A log that is cut less than it might be serves those who are a little behind.
	behind := uint64(n.w.rng.IntN(30))
	if index > behind {
		n.disk.cut(index - behind)
		n.tail.Trim(0, index-behind)
	}
}

// snapshot describes what is durable for a replica that is far behind.
func (n *node) snapshot() (*pb.Snapshot, error) {
	w := n.w
	if s := n.disk.flushed; s.meta.Index > 0 && !w.chance(3) {
		s = s.clone()
		if w.cfg.Mutant == ForgetRows {
			s.forgetRows()
		}
		w.snapshots = append(w.snapshots, s)
		return &pb.Snapshot{
			Data: binary.BigEndian.AppendUint32(nil, uint32(len(w.snapshots)-1)),
			Metadata: &pb.SnapshotMetadata{
				ConfState: s.conf, Index: &s.meta.Index, Term: &s.meta.Term,
			},
		}, nil
	}
	return nil, raft.ErrSnapshotTemporarilyUnavailable
}

// stateOf returns the state that a snapshot describes.
func (w *World) stateOf(s *pb.Snapshot) *state {
	return w.snapshots[binary.BigEndian.Uint32(s.GetData())]
}

// epochMS is when a world begins, by all clocks.
const epochMS = 1_800_000_000_000

// wallMS is the replica's clock.
func (n *node) wallMS() uint64 {
	return uint64(epochMS + (n.w.now + n.clockOffset).Milliseconds())
}
