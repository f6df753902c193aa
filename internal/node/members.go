package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/sheafdb/sheaf/internal/cluster"
	"github.com/sheafdb/sheaf/internal/replica"
	"github.com/sheafdb/sheaf/internal/wire"
)

// The members of a cluster are a table in the state of the first group, changed by Join and
// Leave. Everything else follows from it, at every node by itself: whom the bridge lets in, and,
// where the node leads a group, that the group's replicas become those of the members, one
// change at a time: a new one learns first and votes when it has caught up, and only then one
// that left goes.

const (
	// membersEvery is how often a node looks, beside when something has changed.
	membersEvery = 500 * time.Millisecond
	// changeTime bounds one change of a group's replicas.
	changeTime = 5 * time.Second
	// caughtUp is how many log entries a learner may be behind to be made a voter.
	caughtUp = 1000
)

// changed wakes the watch of the members.
func (n *Node) changed() {
	select {
	case n.news <- struct{}{}:
	default:
	}
}

// watchMembers follows the table until the node stops.
func (n *Node) watchMembers() {
	ticker := time.NewTicker(membersEvery)
	defer ticker.Stop()
	balanced := time.Now()
	for {
		select {
		case <-n.life.Done():
			return
		case <-n.news:
		case <-ticker.C:
		}
		if err := n.followMembers(n.life); err != nil && n.life.Err() == nil {
			n.opts.Logger.Warn("follow the members of the cluster", "err", err)
		}
		if time.Since(balanced) >= balanceEvery {
			balanced = time.Now()
			if err := n.askWhetherRemoved(n.life); err != nil {
				n.opts.Logger.Warn("leave the cluster", "err", err)
			}
			if err := n.balance(n.life); err != nil && n.life.Err() == nil {
				n.opts.Logger.Warn("spread the leads of the groups", "err", err)
			}
		}
	}
}

func (n *Node) followMembers(ctx context.Context) error {
	if n.left.Load() {
		return nil
	}
	members, err := n.hosted[0].group.Members()
	if err != nil {
		return err
	}
	if first := n.dir.identity.Members; members.Last < uint64(len(first)) {
		return n.beginTable(ctx, first[members.Last])
	}
	if members.Last == 0 {
		return nil // it joins: its state is on the way
	}
	leaving, err := n.leaving(ctx, members)
	if err != nil {
		return err
	}
	n.bridge.Update(members.Last, members.All, leaving)
	if err := n.remember(slices.Concat(members.All, leaving)); err != nil {
		return err
	}
	if me := n.isSelf; !slices.ContainsFunc(members.All, me) {
		n.refuseClients()
		if !slices.ContainsFunc(leaving, me) {
			return n.leave()
		}
	}
	var errs []error
	for _, h := range n.hosted {
		errs = append(errs, n.adjust(ctx, h, members.All))
	}
	return errors.Join(errs...)
}

// leaving are those that were removed and of whom a group here still has a replica.
func (n *Node) leaving(ctx context.Context, members wire.Members) (leaving []cluster.Member, err error) {
	if len(members.Left) == 0 {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, changeTime)
	defer cancel()
	needed := make(map[uint64]bool)
	for _, h := range n.hosted {
		report, err := h.group.Replicas(ctx)
		if err != nil {
			return nil, err
		}
		for _, id := range slices.Concat(report.Voters, report.Learners) {
			needed[id] = true
		}
	}
	for _, m := range members.Left {
		if needed[m.ID] {
			leaving = append(leaving, m)
		}
	}
	return leaving, nil
}

// beginTable enters the first members, in the order of their numbers.
func (n *Node) beginTable(ctx context.Context, next cluster.Member) error {
	if !n.hosted[0].group.Leads() {
		return nil
	}
	_, err := n.joinMember(ctx, next)
	return err
}

// joinMember enters a member in the table.
func (n *Node) joinMember(ctx context.Context, m cluster.Member) (id uint64, err error) {
	return n.propose(ctx, &wire.Command{Kind: wire.Join, Keys: [][]byte{[]byte(m.Name), []byte(m.Addr), []byte(m.Disk)}})
}

// propose takes a command to the first group.
func (n *Node) propose(ctx context.Context, cmd *wire.Command) (id uint64, err error) {
	result, _, err := n.groups[0].Propose(ctx, cmd)
	switch {
	case err != nil:
		return 0, err
	case result.Refused != nil:
		return 0, result.Refused
	}
	return result.Version, nil
}

// remember keeps where the members are, for the next start.
func (n *Node) remember(members []cluster.Member) error {
	if slices.Equal(n.dir.identity.Known, members) {
		return nil
	}
	n.dir.identity.Known = members
	return n.dir.writeIdentity()
}

// adjust makes at most one change of a group's replicas, if this node leads it.
func (n *Node) adjust(ctx context.Context, h *hosted, members []cluster.Member) error {
	if !h.group.Leads() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, changeTime)
	defer cancel()
	report, err := h.group.Replicas(ctx)
	if err != nil || !report.Leading || report.Joint {
		return err
	}
	kind, id := nextChange(report, members)
	if id == 0 {
		return nil
	}
	if id == n.dir.identity.ID { // a leader that left: another makes the change
		h.group.HandOver()
		return nil
	}
	err = h.group.Change(ctx, &pb.ConfChangeV2{Changes: []*pb.ConfChangeSingle{{Type: kind.Enum(), NodeId: &id}}})
	if err != nil {
		return fmt.Errorf("change the replicas of group %d: %w", h.id, err)
	}
	n.opts.Logger.Info("replicas changed", "group", h.id, "change", kind.String(), "replica", id)
	n.changed()
	return nil
}

// nextChange is the next step from a group's replicas to the members; id 0 is none.
func nextChange(report replica.Report, members []cluster.Member) (kind pb.ConfChangeType, id uint64) {
	commit := report.Commit
	for _, m := range members {
		if m.Disk != "" && !slices.Contains(report.Voters, m.ID) && !slices.Contains(report.Learners, m.ID) {
			return pb.ConfChangeAddLearnerNode, m.ID
		}
	}
	member := func(id uint64) bool {
		return slices.ContainsFunc(members, func(m cluster.Member) bool { return m.ID == id })
	}
	for _, p := range report.Others {
		if p.Learner && p.Active && !p.Catching && p.Match > 0 && p.Match+caughtUp >= commit && member(p.ID) {
			return pb.ConfChangeAddNode, p.ID
		}
	}
	for _, id := range report.Learners {
		if !member(id) {
			return pb.ConfChangeRemoveNode, id
		}
	}
	for _, id := range report.Voters {
		if !member(id) && safeWithout(report, id) {
			return pb.ConfChangeRemoveNode, id
		}
	}
	return 0, 0
}

// safeWithout says that a group goes on when a voter is removed: most of those left are there.
func safeWithout(report replica.Report, gone uint64) bool {
	active, left := 0, 0
	for _, p := range report.Others {
		if p.Learner || p.ID == gone {
			continue
		}
		left++
		if p.Active {
			active++
		}
	}
	return left > 0 && active > left/2
}
