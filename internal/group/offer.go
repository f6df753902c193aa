package group

import (
	"slices"

	"github.com/sheafdb/sheaf/internal/apply"
	"github.com/sheafdb/sheaf/internal/wire"
)

// maxRoundBytes bounds what is proposed in one turn, but for a single larger batch.
const maxRoundBytes = 64 << 20

// maxCatchUp bounds the Ticks of one round: seven years of hours.
const maxCatchUp = 1 << 16

// takeProposals offers what waits, if it can go on now. It waits while the log is written
// to, to share the next round, and because whoever gives up before that has written nothing;
// while the log is to be cut; and in a new leader until its state's time is known.
func (g *Group) takeProposals() {
	l := &g.loop
	room, wait := g.cut.room()
	if wait || l.appends > 0 || g.office.Load().Leading && !l.core.Settled() {
		return
	}
	l.proposals = g.inbox.takeProposals(l.proposals)
	g.offer(g.withRoom(claim(l.proposals), room))
}

// claim takes the proposals whose callers still wait.
func claim(waitingOnes []*proposal) []*proposal {
	live := waitingOnes[:0]
	for _, p := range waitingOnes {
		if p.state.CompareAndSwap(waiting, taken) {
			live = append(live, p)
		} else {
			p.drop()
		}
	}
	return live
}

// withRoom refuses what the disk or the log has no room for. Ticks always have: they free
// what has expired.
func (g *Group) withRoom(live []*proposal, err error) []*proposal {
	if len(live) == 0 {
		return nil
	}
	if err == nil {
		if err = g.cfg.Room(); err == nil {
			return live
		}
		g.cut.start(true) // what it frees may be enough
	}
	return slices.DeleteFunc(live, func(p *proposal) bool {
		if p.ticksOnly() {
			return false
		}
		p.finish(err)
		return true
	})
}

// offer proposes in rounds.
func (g *Group) offer(live []*proposal) {
	for len(live) > 0 {
		n := roundLen(live)
		now := g.nowMS()
		for _, tick := range g.catchUp(now) {
			g.offerOne(tick, now)
		}
		for _, p := range live[:n] {
			g.offerOne(p, now)
		}
		if live = live[n:]; len(live) > 0 {
			g.work()
		}
	}
}

// roundLen is how many proposals fit one round: at least one.
func roundLen(live []*proposal) int {
	size := int64(0)
	for n, p := range live {
		if size += p.size(); size > maxRoundBytes && n > 0 {
			return n
		}
	}
	return len(live)
}

// offerOne stamps a proposal's commands and makes log entries of them. They own their bytes,
// which stay in memory for as long as another replica may need them.
func (g *Group) offerOne(p *proposal, now uint64) {
	l := &g.loop
	for n, cmd := range p.cmds {
		g.stamp(cmd, now)
		l.header = cmd.AppendHeader(l.header[:0])
		l.token++
		l.waiters[l.token] = waiter{p, n}
		l.core.Propose(l.token, p.data[n].finish(l.header))
	}
}

// stamp puts into a command what apply must not find out for itself.
func (g *Group) stamp(cmd *wire.Command, nowMS uint64) {
	cmd.NowMS = nowMS
	cmd.RetentionMS = uint64(g.cfg.Limits.RequestIDRetention.Milliseconds())
	cmd.MaxRows = uint64(g.cfg.Limits.RequestIDs)
}

// catchUp returns the Ticks that bring the group's clock within one step of now:
// after a node was off for long, or its machine slept.
func (g *Group) catchUp(now uint64) []*proposal {
	l := &g.loop
	l.stampedMS = max(l.stampedMS, g.stateMS.Load())
	if l.stampedMS == 0 { // the first stamp is taken as it is
		l.stampedMS = now
	}
	var ticks []*proposal
	for ; now > l.stampedMS+apply.MaxClockStepMS && len(ticks) < maxCatchUp; l.stampedMS += apply.MaxClockStepMS {
		ticks = append(ticks, g.newProposal(&wire.Command{Kind: wire.Tick}))
	}
	l.stampedMS = max(l.stampedMS, now)
	return ticks
}
