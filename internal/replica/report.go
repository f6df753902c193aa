package replica

import (
	"slices"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"
)

// Report is what a replica knows of its group.
type Report struct {
	Status
	Learners []uint64
	// Joint: a change of more than one voter is under way.
	Joint bool
	// Others are known to a leader, this replica among them, by ID.
	Others []Progress
}

// Progress is how far another replica is, as its leader knows.
type Progress struct {
	ID uint64
	// Match is the last entry that is known to be in its log.
	Match   uint64
	Learner bool
	// Active: it has been heard of lately.
	Active bool
	// Catching: it is being sent a state, as of the entry Pending.
	Catching bool
	Pending  uint64
}

// Conf are the group's replicas, as of the last entry that was handed to the state machine. It
// must not be changed.
func (c *Core) Conf() *pb.ConfState { return c.tail.conf }

// Report reads it.
func (c *Core) Report() Report {
	r := Report{Status: c.Status(), Learners: slices.Clone(c.tail.conf.GetLearners()), Joint: len(c.tail.conf.GetVotersOutgoing()) > 0}
	r.Voters = slices.Clone(r.Voters)
	c.Followers(func(p Progress) { r.Others = append(r.Others, p) })
	return r
}

// Followers visits what a leader knows of the replicas, this one among them, by ID.
func (c *Core) Followers(visit func(Progress)) {
	if !c.office.leading {
		return
	}
	c.node.WithProgress(func(id uint64, _ raft.ProgressType, p tracker.Progress) {
		one := Progress{ID: id, Match: p.Match, Learner: p.IsLearner, Active: c.hears(id)}
		if p.State == tracker.StateSnapshot {
			one.Catching, one.Pending = true, p.PendingSnapshot
		}
		visit(one)
	})
}
