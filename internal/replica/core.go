package replica

import (
	"log/slog"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
)

// Token names a proposal or a read to its driver; 0 is none. A driver gives every token
// once.
type Token uint64

// Config is what a replica needs.
type Config struct {
	// ID is the replica's number in its group. It is never given to another, nor to
	// the same with an empty disk: raft counts on what it has promised.
	ID uint64
	// Incarnation differs from that of every earlier run of the replica. It keeps
	// an answer to a read of an earlier run from being taken for one of this.
	Incarnation uint64
	// Tail has the entries of the log. The core owns it.
	Tail *Tail
	// Applied is the index of the last entry that the state machine has.
	Applied uint64
	// ElectionTicks without a leader begin an election; a leader is heard of every
	// HeartbeatTicks.
	ElectionTicks, HeartbeatTicks int
	// MessageBytes bounds the entries of one message, InflightBytes those on their way to
	// one follower, ApplyBytes those that are applied at a time, each but for a single
	// larger entry. What is proposed in one turn is sent at once, whatever its size.
	MessageBytes, InflightBytes, ApplyBytes uint64
	Logger                                  *slog.Logger
}

// maxInflightMessages bounds the messages with entries on their way to one follower.
const maxInflightMessages = 256

// Core is one replica. It is not safe for concurrent use. Its methods panic with a *Broken when
// there is nothing to go on from.
type Core struct {
	id      uint64
	node    *raft.RawNode
	tail    *Tail
	applied uint64
	// appliedTerm is the term of the entry at applied, 0 before the first of this run.
	appliedTerm uint64
	// unsaved is the newest hard state, if no Append has had it.
	unsaved hardState
	// promised is the last that an Append had, or the disk at the beginning.
	promised  hardState
	office    office
	proposals proposals
	reads     reads
	quickest  quickest
	// ticks counts them, and heard has when another replica's last message came. raft's own
	// mark is taken back with every look at the quorum, until the next answer.
	ticks uint64
	heard map[uint64]uint64
	// silence is how many ticks a replica may say nothing.
	silence uint64
}

// hardState is raft's, all nil if there is none.
type hardState struct{ term, vote, commit *uint64 }

// samePromise says whether two hold a replica to the same term and vote.
func (h hardState) samePromise(other hardState) bool {
	return h.term != nil && other.term != nil && *h.term == *other.term &&
		h.vote != nil && other.vote != nil && *h.vote == *other.vote
}

// office is who leads, as far as this replica knows.
type office struct {
	term, leader uint64
	leading      bool
	// commitBefore is the commit index with which a leader began: what is above it was
	// committed in its term.
	commitBefore uint64
}

// New returns a replica that stands where its tail and its state machine do.
func New(cfg Config) (*Core, error) {
	node, err := raft.NewRawNode(&raft.Config{
		ID:                       cfg.ID,
		ElectionTick:             cfg.ElectionTicks,
		HeartbeatTick:            cfg.HeartbeatTicks,
		Storage:                  cfg.Tail,
		Applied:                  cfg.Applied,
		AsyncStorageWrites:       true,
		MaxSizePerMsg:            cfg.MessageBytes,
		MaxCommittedSizePerReady: cfg.ApplyBytes,
		MaxInflightMsgs:          maxInflightMessages,
		MaxInflightBytes:         cfg.InflightBytes,
		CheckQuorum:              true,
		PreVote:                  true,
		ReadOnlyOption:           raft.ReadOnlySafe,
		// The leader stamps its clock into commands, so only it may log them.
		DisableProposalForwarding: true,
		StepDownOnRemoval:         true,
		Logger:                    raftLogger{cfg.Logger},
	})
	if err != nil {
		return nil, err
	}
	c := &Core{
		id: cfg.ID, node: node, tail: cfg.Tail, applied: cfg.Applied,
		proposals: proposals{logged: make(map[uint64]logged)},
		reads:     newReads(cfg.Incarnation, cfg.ElectionTicks),
		heard:     make(map[uint64]uint64), silence: uint64(cfg.ElectionTicks),
	}
	if h := cfg.Tail.hard; h != nil {
		c.promised = hardState{h.Term, h.Vote, h.Commit}
	}
	c.proposals.message.Type, c.proposals.message.From = pb.MsgProp.Enum(), &c.id
	c.office = c.officeNow()
	return c, nil
}

// Tick is the passing of one tick of time.
func (c *Core) Tick() {
	c.node.Tick()
	c.reads.tick()
	c.ticks++
	c.quickest.ticked = true
}

// Step takes a message of another replica. The core keeps its bytes.
func (c *Core) Step(m *pb.Message) {
	// What raft refuses is of a replica that it does not know, or has come too late:
	// nobody needs an answer.
	_ = c.node.Step(m)
	c.heard[m.GetFrom()] = c.ticks
	if m.GetType() == pb.MsgHeartbeatResp {
		c.answered(m)
	}
}

// Campaign stands for election without waiting for its time.
func (c *Core) Campaign() { _ = c.node.Campaign() }

// hears says whether a replica was heard of lately.
func (c *Core) hears(id uint64) bool {
	at, ever := c.heard[id]
	return id == c.id || ever && c.ticks-at <= c.silence
}

// Transfer makes a leader hand its office to another replica, if that one is up to date
// within an election's time. Proposals wait meanwhile.
func (c *Core) Transfer(to uint64) { c.node.TransferLeader(to) }

// HandOver makes a leader hand its office to the voter whose log is the most complete, of
// those it has heard from lately. False: there is nobody, or this replica does not lead.
func (c *Core) HandOver() bool {
	if !c.office.leading {
		return false
	}
	var to, match uint64
	for id, p := range c.node.Status().Progress {
		if id != c.id && !p.IsLearner && c.hears(id) && (p.Match > match || p.Match == match && (to == 0 || id < to)) {
			to, match = id, p.Match
		}
	}
	if to != 0 {
		c.node.TransferLeader(to)
	}
	return to != 0
}

// Unreachable says that a message to a replica was lost.
func (c *Core) Unreachable(id uint64) { c.node.ReportUnreachable(id) }

// SnapshotSent says what became of the snapshot that a message of type MsgSnap promised.
func (c *Core) SnapshotSent(to uint64, ok bool) {
	status := raft.SnapshotFinish
	if !ok {
		status = raft.SnapshotFailure
	}
	c.node.ReportSnapshot(to, status)
}

// Alone says that this replica leads its group and is its only voter, and that its state
// machine has all that anybody was told of: a read of it needs no round with others. It
// holds until Work hands out a change of the replicas, so whoever publishes it does that
// before he sends what that Work has.
func (c *Core) Alone() bool {
	conf := c.tail.conf
	return c.Settled() &&
		len(conf.GetVoters()) == 1 && conf.GetVoters()[0] == c.id && len(conf.GetVotersOutgoing()) == 0
}

// Settled says that this replica leads, and that its state machine has an entry of its term:
// it is where the leader before it left off, or beyond.
func (c *Core) Settled() bool { return c.office.leading && c.appliedTerm == c.office.term }

// Only says that this replica is alone and has no others of any kind: nobody reads the state
// but here.
func (c *Core) Only() bool { return c.Alone() && !c.Others() }

// Others says that the group has replicas beside this one, of whatever kind.
func (c *Core) Others() bool {
	conf := c.tail.conf
	return len(conf.GetVoters())+len(conf.GetVotersOutgoing())+len(conf.GetLearners())+len(conf.GetLearnersNext()) > 1
}

// Trim drops from the tail what is applied and not above index, but for so many bytes of the
// newest entries.
func (c *Core) Trim(bytes int64, index uint64) { c.tail.Trim(bytes, min(index, c.applied)) }

// TailBytes is about what the entries in the tail take in memory.
func (c *Core) TailBytes() int64 { return c.tail.bytes }

// Status is what a replica says of itself.
type Status struct {
	ID, Term, Leader uint64
	Leading          bool
	Commit, Applied  uint64
	First, Last      uint64 // entries in the tail; First is above Last when it is empty
	Voters           []uint64
}

// Status reads the replica's state.
func (c *Core) Status() Status {
	s := c.node.BasicStatus()
	first, _ := c.tail.FirstIndex()
	last, _ := c.tail.LastIndex()
	return Status{
		ID: c.id, Term: c.office.term, Leader: c.office.leader, Leading: c.office.leading,
		Commit: s.GetCommit(), Applied: c.applied, First: first, Last: last,
		Voters: c.tail.conf.GetVoters(),
	}
}

func (c *Core) officeNow() office {
	s := c.node.BasicStatus()
	return office{term: s.GetTerm(), leader: s.Lead, leading: s.RaftState == raft.StateLeader}
}

func (c *Core) commit() uint64 {
	s := c.node.BasicStatus()
	return s.GetCommit()
}
