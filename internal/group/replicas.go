package group

import (
	"context"
	"errors"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/apply"
	"github.com/sheafdb/sheaf/internal/replica"
	"github.com/sheafdb/sheaf/internal/wire"
)

// Members reads the members of the cluster; the first group's state has them.
func (g *Group) Members() (wire.Members, error) {
	view := g.store.View()
	defer view.Close() //nolint:errcheck // reading is over
	return apply.ReadMembers(view)
}

// Replicas asks the loop what it knows of the group's replicas; only a leader knows more than
// who they are.
func (g *Group) Replicas(ctx context.Context) (replica.Report, error) {
	answer := make(chan replica.Report, 1)
	return askLoop(ctx, g, answer, func() { answer <- g.loop.core.Report() })
}

// askLoop has the loop do something and waits for what it answers.
func askLoop[T any](ctx context.Context, g *Group, answer chan T, do func()) (T, error) {
	var none T
	g.inbox.add(func(n *news) { n.errands = append(n.errands, do) })
	select {
	case a := <-answer:
		return a, nil
	case <-g.failed:
	case <-g.loopDone:
	case <-ctx.Done():
		return none, ctx.Err()
	}
	return none, errors.New("the group has ended")
}

// Change proposes a change of the group's replicas, at its leader, and returns when it is
// applied here, or an error when that is not known. raft makes one change at a time: one too
// many is an error or comes to nothing.
func (g *Group) Change(ctx context.Context, change *pb.ConfChangeV2) error {
	if !g.Leads() {
		return g.notLeader()
	}
	p := g.newProposal(&wire.Command{Kind: wire.Tick}) // it waits like one, for an entry without a command
	refused := make(chan error, 1)
	_, err := askLoop(ctx, g, refused, func() {
		l := &g.loop
		l.token++
		l.waiters[l.token] = waiter{p, 0}
		err := l.core.ProposeChange(l.token, change)
		if err != nil {
			delete(l.waiters, l.token)
		}
		refused <- err
	})
	if err != nil {
		return err
	}
	select {
	case <-p.done:
		err := p.err
		p.reuse()
		return err
	case <-g.failed:
		return sheaf.Errorf(sheaf.Draining, "the node failed and is about to end")
	case <-ctx.Done():
		return &sheaf.Error{Code: sheaf.OutcomeUnknown, Err: ctx.Err(), Detail: "the change of the group's replicas was not confirmed in time"}
	}
}

// Transfer has another replica lead, if this one does.
func (g *Group) Transfer(to uint64) {
	g.inbox.add(func(n *news) { n.errands = append(n.errands, func() { g.loop.core.Transfer(to) }) })
}
