package replica

import (
	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
)

// Work is what there is to do.
type Work struct {
	// Send goes to other replicas at once. Messages of type MsgSnap promise a
	// snapshot whose state the driver sends (see Tail.Snapshot); SnapshotSent says how
	// that went.
	Send []*pb.Message
	// Append and Apply are nil if there is nothing for the log or the state machine.
	Append *Append
	Apply  *Apply
	// Refused were not logged: this replica does not lead. Of Unknown, which were, nobody can
	// say. Reads may read the state machine.
	Refused, Unknown, Reads []Token
	// Office is set when the leader or the term has changed.
	Office *Office
}

// Office is who leads the group, as far as this replica knows; Leader 0 is nobody.
type Office struct {
	Term, Leader uint64
	Leading      bool // this replica is the leader
}

// Append is for the log: first the entries, which replace all that the log has from the
// first index on, and the hard state, in one atomic write that is durable before Logged. They
// must be in the log's files in the order of the Appends.
type Append struct {
	Entries []*pb.Entry
	// HardState is nil when the log has it, but for a commit index that may be older.
	HardState *pb.HardState
	// Snapshot, if not nil, is the state that takes the place of all entries up to its
	// index: the driver makes it the store's, durably and as a whole, after all Applies
	// before it.
	Snapshot *pb.Snapshot
	// Replies go to other replicas once it is.
	Replies []*pb.Message

	own []*pb.Message // for this replica
}

// Empty says that there is nothing to write: it is Logged as soon as those before it are.
func (a *Append) Empty() bool {
	return len(a.Entries) == 0 && a.HardState == nil && a.Snapshot == nil
}

// Apply is for the state machine: entries in the order of the log, without a gap.
type Apply struct {
	Entries []Committed

	own []*pb.Message
}

// Committed is an entry that a quorum has.
type Committed struct {
	Index, Term uint64
	// Data is the command; empty in an entry that only raft has a use for, which moves
	// the state machine's index all the same. It must not be changed.
	Data []byte
	// Conf is set in an entry that changed the group's replicas: what they are now. It is
	// kept with the state, in the same atomic step.
	Conf *pb.ConfState
	// Token is that of the caller here who proposed it, or 0.
	Token Token
}

// Work returns what there is to do, false when there is nothing. A driver calls it until
// then after whatever it told the core.
func (c *Core) Work() (w Work, any bool) {
	given := c.propose(&w)
	c.beginRead()
	if c.node.HasReady() {
		any = true
		c.accept(c.node.Ready(), given, &w)
	}
	w.Send = c.spare(w.Send)
	c.reads.release(c.applied, &w)
	return w, any || len(w.Send)+len(w.Refused)+len(w.Reads) > 0
}

func (c *Core) accept(ready raft.Ready, given int, w *Work) {
	if given > 0 {
		c.place(ready.Entries[len(ready.Entries)-given:])
	}
	c.changeOffice(w)
	c.reads.confirm(ready.ReadStates)
	for _, m := range ready.Messages {
		switch m.GetTo() {
		case raft.LocalAppendThread:
			w.Append = c.appendOf(m)
		case raft.LocalApplyThread:
			w.Apply = c.applyOf(m)
		default:
			w.Send = append(w.Send, m)
		}
	}
	w.Send = withoutRepeats(w.Send)
}

// withoutRepeats drops entries that are sent again further on. While raft does not know what a
// follower has, it sends the same ones, up to a whole message, with every sign of life, and of
// these there are as many as reads: after a pause a leader would send hundreds of megabytes, and
// be busy with that for longer than an election takes.
func withoutRepeats(messages []*pb.Message) []*pb.Message {
	type from struct{ to, term, index uint64 }
	last := make(map[from]int)
	for i, m := range messages {
		if m.GetType() == pb.MsgApp && len(m.GetEntries()) > 0 {
			last[from{m.GetTo(), m.GetTerm(), m.GetIndex()}] = i
		}
	}
	if len(last) == 0 {
		return messages
	}
	kept := messages[:0]
	for i, m := range messages {
		if m.GetType() == pb.MsgApp && len(m.GetEntries()) > 0 && last[from{m.GetTo(), m.GetTerm(), m.GetIndex()}] != i {
			continue
		}
		kept = append(kept, m)
	}
	return kept
}

// changeOffice notes who leads. What waits on an office that is lost is told so.
func (c *Core) changeOffice(w *Work) {
	was, now := c.office, c.officeNow()
	now.commitBefore = was.commitBefore
	if was == now {
		return
	}
	if now.leading {
		now.commitBefore = c.commit()
	}
	c.office = now
	w.Office = &Office{Term: now.term, Leader: now.leader, Leading: now.leading}
	if was.leading && (!now.leading || was.term != now.term) {
		c.proposals.abandon(w)
	}
	c.reads.again()
	c.quickest = quickest{ticked: c.quickest.ticked} // what was kept back is of the office before
}

func (c *Core) appendOf(m *pb.Message) *Append {
	if m.Term != nil { // raft sets the three together or none
		c.unsaved = hardState{m.Term, m.Vote, m.Commit}
	}
	if len(m.GetResponses()) == 0 {
		return nil
	}
	a := &Append{Entries: m.GetEntries(), Snapshot: m.GetSnapshot()}
	// A commit index alone is not worth a write: a replica that restarts learns it again.
	if h := c.unsaved; h.term != nil && (len(a.Entries) > 0 || a.Snapshot != nil || !h.samePromise(c.promised)) {
		a.HardState = &pb.HardState{Term: h.term, Vote: h.vote, Commit: h.commit}
		c.unsaved, c.promised = hardState{}, h
	}
	for _, reply := range m.GetResponses() {
		if reply.GetTo() == c.id {
			a.own = append(a.own, reply)
		} else {
			a.Replies = append(a.Replies, reply)
		}
	}
	return a
}

// Logged says that an Append is durable, and everything before it. The Replies may go.
func (c *Core) Logged(a *Append) {
	// The tail first: raft looks into it when it hears of this.
	if a.Snapshot != nil {
		c.tail.restore(a.Snapshot)
		c.applied, c.appliedTerm = a.Snapshot.GetMetadata().GetIndex(), 0
	}
	c.tail.append(a.Entries)
	if a.HardState != nil {
		c.tail.hard = a.HardState
	}
	for _, m := range a.own {
		_ = c.node.Step(m)
	}
}

func (c *Core) applyOf(m *pb.Message) *Apply {
	a := &Apply{Entries: make([]Committed, len(m.GetEntries())), own: m.GetResponses()}
	for i, e := range m.GetEntries() {
		one := &a.Entries[i]
		*one = Committed{Index: e.GetIndex(), Term: e.GetTerm(), Token: c.proposals.claim(e.GetIndex(), e.GetTerm())}
		if e.GetType() == pb.EntryNormal {
			one.Data = e.GetData()
		} else {
			one.Conf = c.changeReplicas(e)
		}
	}
	return a
}

// Applied says that the state machine has all of an Apply, and of those before it. It need
// not be durable.
func (c *Core) Applied(a *Apply) {
	last := &a.Entries[len(a.Entries)-1]
	if last.Index > c.applied {
		c.applied, c.appliedTerm = last.Index, last.Term
	}
	for _, m := range a.own {
		_ = c.node.Step(m)
	}
}
