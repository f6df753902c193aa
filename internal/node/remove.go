package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/cluster"
	"github.com/sheafdb/sheaf/internal/replica"
	"github.com/sheafdb/sheaf/internal/wire"
)

// A node is removed in two steps: Leave takes it out of the table, and then each group drops
// its replica, by a log entry that needs a majority of the replicas there were. Between the two
// the leaving node still votes. So Leave is proposed only when both majorities are there, with
// the leaving node and without it, and when no other removal is between its two steps.

const (
	// removeTries bounds how often a removal is judged: the members may change meanwhile, and
	// a node may be silent for a moment without being down.
	removeTries = 4
	// removalRetry is the wait advised while another removal is under way.
	removalRetry = time.Second
)

// Remove ends a node's membership, or says why that would keep a group from going on; nothing
// is written then.
func (n *Node) Remove(ctx context.Context, name string) error {
	if err := n.gate.Read(); err != nil {
		return err
	}
	switch {
	case n.bridge == nil:
		return sheaf.Invalid("node", "%s is no member: this node is alone", name)
	case name == n.bridge.Name():
		return sheaf.Invalid("node", "%s is the node that is asked, and cannot say what becomes of itself: ask another member", name)
	}
	var err error
	for turn := range removeTries {
		if turn > 0 {
			select {
			case <-time.After(membersEvery):
			case <-ctx.Done():
				return err
			}
		}
		if err = n.tryRemove(ctx, name); err == nil || !errors.Is(err, sheaf.Contention) && !errors.Is(err, errTooFew) {
			break
		}
	}
	n.changed()
	return err
}

// errTooFew is why a node is not removed without which a group could not go on.
var errTooFew = errors.New("too few are there")

func (n *Node) tryRemove(ctx context.Context, name string) error {
	members, err := n.hosted[0].group.Members()
	if err != nil {
		return err
	}
	if at := members.Named(name); at >= 0 { // else, and if it is the only one, the table says so
		asking, cancel := context.WithTimeout(ctx, askTime)
		summaries, errs := n.gather(asking, members.All)
		cancel()
		answers := make(map[uint64]bool)
		for i, m := range members.All {
			answers[m.ID] = errs[i] == nil
		}
		if err := removable(members, members.All[at], leadersOf(len(n.hosted), summaries, errs), answers); err != nil {
			return err
		}
	}
	_, err = n.propose(ctx, &wire.Command{Kind: wire.Leave, Keys: [][]byte{[]byte(name), []byte(members.Numbers())}})
	return err
}

// removable says why a member cannot be removed. reports are those of the groups' leaders,
// answers who answered when asked.
func removable(members wire.Members, gone cluster.Member, reports []replica.Report, answers map[uint64]bool) error {
	for i, report := range reports {
		group := i + 1
		if !report.Leading {
			return &sheaf.Error{
				Code: sheaf.NotLeader, RetryAfter: removalRetry,
				Detail: fmt.Sprintf("%s cannot be removed: group %d has no leader that answers; nothing was written", gone.Name, group),
			}
		}
		for _, id := range slices.Concat(report.Voters, report.Learners) {
			if !slices.ContainsFunc(members.All, func(m cluster.Member) bool { return m.ID == id }) {
				return &sheaf.Error{
					Code: sheaf.RateLimited, RetryAfter: removalRetry,
					Detail: "another removal is under way: a group still has a replica on a node that was removed; try again when it is gone (sheaf cluster status)",
				}
			}
		}
		voters, there, left, leftThere := 0, 0, 0, 0
		for _, p := range report.Others {
			if p.Learner {
				continue
			}
			is := p.Active && answers[p.ID]
			voters, there = voters+1, there+one(is)
			if p.ID != gone.ID {
				left, leftThere = left+1, leftThere+one(is)
			}
		}
		switch {
		case there <= voters/2:
			return tooFew("%s cannot be removed: %d of the %d replicas of group %d are there, and a majority of them must agree", gone.Name, there, voters, group)
		case leftThere <= left/2:
			return tooFew("%s cannot be removed: without it %d of %d replicas of group %d would be there, which is no majority", gone.Name, leftThere, left, group)
		}
	}
	return nil
}

func tooFew(format string, args ...any) error {
	e := sheaf.Invalid("node", format+": start those that are down first, or remove them", args...)
	e.Err = errTooFew
	return e
}

func one(is bool) int {
	if is {
		return 1
	}
	return 0
}
