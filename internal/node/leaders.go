package node

import (
	"context"
	"encoding/json"
	"time"

	"github.com/sheafdb/sheaf"
)

// balanceEvery is how often a node looks whether it leads more groups than its share. It hands
// over one at a time, so that this also bounds the moves.
const balanceEvery = 2 * time.Second

// balance hands the lead of one group over if another node leads two fewer. All nodes know who
// leads what, so that only those with too many act.
func (n *Node) balance(ctx context.Context) error {
	if len(n.hosted) < 2 {
		return nil
	}
	leads := make(map[uint64]int)
	var mine *hosted
	for _, h := range n.hosted {
		leader := h.group.Leader()
		if leader == 0 {
			return nil // first things first
		}
		leads[leader]++
		if leader == n.dir.identity.ID && h.group.Leads() {
			mine = h
		}
	}
	if mine == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, changeTime)
	defer cancel()
	report, err := mine.group.Replicas(ctx)
	if err != nil {
		return err
	}
	to := uint64(0)
	for _, p := range report.Others {
		if p.ID == n.dir.identity.ID || p.Learner || !p.Active || p.Match+caughtUp < report.Commit {
			continue
		}
		if leads[p.ID]+2 <= leads[n.dir.identity.ID] && (to == 0 || leads[p.ID] < leads[to]) {
			to = p.ID
		}
	}
	if to != 0 {
		n.opts.Logger.Info("handing the lead of a group over, to spread the work", "group", mine.id, "to", to)
		mine.group.Transfer(to)
	}
	return nil
}

// TransferLeader has a node lead a group, and returns when it does.
func (n *Node) TransferLeader(ctx context.Context, group uint64, name string) error {
	if err := n.gate.Read(); err != nil {
		return err
	}
	if group < 1 || group > uint64(len(n.hosted)) {
		return sheaf.Invalid("group", "is %d: the groups are 1 to %d", group, len(n.hosted))
	}
	to := uint64(0)
	for _, m := range n.members() {
		if m.Name == name {
			to = m.ID
		}
	}
	if to == 0 {
		return sheaf.Invalid("node", "%q is no member: see sheaf cluster status", name)
	}
	h := n.hosted[group-1]
	ctx, cancel := context.WithTimeout(ctx, transferTime)
	defer cancel()
	for turn := 0; h.group.Leader() != to; turn++ {
		ask := &transfer{Group: group, To: to}
		var err error
		switch leader := h.group.Leader(); {
		case turn%transferTurns != 0 || leader == 0: // it is on its way
		case leader == n.dir.identity.ID:
			err = n.transfer(ctx, ask)
		default:
			var request []byte
			if request, err = json.Marshal(inquiry{Transfer: ask}); err == nil {
				_, err = n.bridge.Ask(ctx, leader, request)
			}
		}
		if err != nil {
			n.opts.Logger.Debug("transfer the lead", "group", group, "to", name, "err", err)
		}
		select {
		case <-ctx.Done():
			return &sheaf.Error{Code: sheaf.NotLeader, RetryAfter: transferTime, Detail: "the node did not take the lead in time: it may be down, or too far behind (sheaf cluster status)"}
		case <-time.After(transferPoll):
		}
	}
	return nil
}

// A transfer is asked for again after so many looks at who leads.
const (
	transferPoll  = 20 * time.Millisecond
	transferTurns = 25
)

// transfer hands the lead over, here at the leader.
func (n *Node) transfer(_ context.Context, t *transfer) error {
	if t.Group < 1 || t.Group > uint64(len(n.hosted)) {
		return sheaf.Invalid("group", "is %d", t.Group)
	}
	n.hosted[t.Group-1].group.Transfer(t.To)
	return nil
}
