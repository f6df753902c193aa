package group

import (
	"time"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/replica"
)

// takeOffice publishes who leads.
func (g *Group) takeOffice(o *replica.Office) {
	g.office.Store(o)
	if !o.Leading {
		g.loop.handedOver()
	}
	g.cfg.Logger.Info("leader changed", "group", g.cfg.ID, "leader", o.Leader, "term", o.Term, "here", o.Leading)
}

// handOver has another replica lead, if there is one; done is closed when this one does not, or
// nobody else can.
func (l *loop) handOver(done chan struct{}) {
	l.leaving = append(l.leaving, done)
	if !l.core.HandOver() {
		l.handedOver()
	}
}

func (l *loop) handedOver() {
	for _, done := range l.leaving {
		close(done)
	}
	l.leaving = nil
}

// handOverTime bounds how long a leader that stops waits for another to lead.
const handOverTime = time.Second

// HandOver has another replica lead, if this one does: the others need not notice its end
// first.
func (g *Group) HandOver() {
	if !g.Leads() {
		return
	}
	done := make(chan struct{})
	g.inbox.add(func(n *news) { n.errands = append(n.errands, func() { g.loop.handOver(done) }) })
	select {
	case <-done:
	case <-g.failed:
	case <-g.loopDone:
	case <-time.After(handOverTime):
	}
}

// Leader returns the replica that leads, as far as this one knows; 0 is nobody.
func (g *Group) Leader() uint64 { return g.office.Load().Leader }

// Leads says whether this replica leads, as far as it knows.
func (g *Group) Leads() bool { return g.office.Load().Leading }

// Alone says that the group has no other voter, and so nobody else to lead it.
func (g *Group) Alone() bool { return g.alone.Load() }

// notLeader is the answer to a command that only a leader may take.
func (g *Group) notLeader() error {
	return &sheaf.Error{
		Code: sheaf.NotLeader, RetryAfter: tickInterval,
		Detail: "this node does not lead the group of the batch's keys; nothing was written",
	}
}
