package group

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/apply"
	"github.com/sheafdb/sheaf/internal/wal"
	"github.com/sheafdb/sheaf/internal/wire"
)

// round is what one append made durable, on its way to the applier.
type round struct {
	proposals []*proposal
	// firstIndex is that of the first command; the others follow without a gap.
	firstIndex uint64
}

// maxCatchUp bounds the Ticks of one round: seven years of hours.
const maxCatchUp = 1 << 16

// runLog owns the log: it takes all that waits, appends it in one write with
// one fsync, and passes it on.
func (g *Group) runLog() {
	defer close(g.logDone)
	defer close(g.rounds)
	var spare []*proposal
	var entries []wal.Entry
	var headers []byte
	for {
		batch, ok := g.inbox.take(spare)
		if !ok {
			return
		}
		live := make([]*proposal, 0, len(batch))
		for _, p := range batch {
			if p.state.CompareAndSwap(waiting, taken) {
				live = append(live, p)
			} else {
				p.drop()
			}
		}
		clear(batch)
		spare = batch
		if len(live) == 0 {
			continue
		}
		if live = g.withRoom(live); len(live) == 0 {
			continue
		}
		now, stampedMS := uint64(g.cfg.Now().UnixMilli()), g.stampedMS
		live = append(g.catchUp(now), live...)
		first := g.lastIndex + 1
		entries, headers = g.encode(live, now, first, entries[:0], headers[:0])
		err := g.cfg.Log.Append(entries, nil)
		switch {
		case errors.Is(err, wal.ErrNoSpace):
			g.stampedMS = stampedMS
			refuseAll(live, &sheaf.Error{Code: sheaf.NoSpace, Detail: "the log found no room on the disk", RetryAfter: time.Second, Err: err})
			continue
		case err != nil:
			refuseAll(live, sheaf.Errorf(sheaf.OutcomeUnknown, "the log failed"))
			g.fail(fmt.Errorf("append to the log: %w", err))
			return
		}
		g.lastIndex += uint64(len(entries))
		logged := time.Now()
		for _, p := range live {
			p.logged = logged
			p.timing.Log = logged.Sub(p.queued)
		}
		clear(entries)
		g.rounds <- round{live, first}
		if g.inbox.empty() {
			if err := g.cfg.Log.MarkIdle(); err != nil {
				g.fail(fmt.Errorf("mark the end of the log: %w", err))
				return
			}
		}
		g.cut.maybe()
	}
}

// withRoom refuses what the disk or the log has no room for. Ticks always have:
// they write next to nothing and free what has expired.
func (g *Group) withRoom(live []*proposal) []*proposal {
	err := g.cut.waitForRoom()
	if err == nil {
		if err = g.cfg.Room(); err == nil {
			return live
		}
		g.cut.start() // what it frees may be enough
	}
	return slices.DeleteFunc(live, func(p *proposal) bool {
		if p.cmds[0].Kind == wire.Tick {
			return false
		}
		p.finish(err)
		return true
	})
}

// encode stamps the commands and makes log entries of them. The headers share
// one buffer; the entries' bytes are not copied.
func (g *Group) encode(live []*proposal, now, index uint64, entries []wal.Entry, headers []byte) ([]wal.Entry, []byte) {
	add := func(cmd *wire.Command) {
		g.stamp(cmd, now)
		start := len(headers)
		headers = cmd.AppendHeader(headers)
		entries = append(entries, wal.Entry{
			Group: g.cfg.ID, Term: term, Index: index,
			Head: headers[start:len(headers):len(headers)], Body: cmd.Entries.Raw(),
		})
		index++
	}
	for _, p := range live {
		for _, cmd := range p.cmds {
			add(cmd)
		}
	}
	return entries, headers
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
	if g.stampedMS == 0 { // the first stamp is taken as it is
		g.stampedMS = now
	}
	var ticks []*proposal
	for ; now > g.stampedMS+apply.MaxClockStepMS && len(ticks) < maxCatchUp; g.stampedMS += apply.MaxClockStepMS {
		ticks = append(ticks, g.newProposal(&wire.Command{Kind: wire.Tick}))
	}
	g.stampedMS = max(g.stampedMS, now)
	return ticks
}

func refuseAll(proposals []*proposal, err error) {
	for _, p := range proposals {
		p.finish(err)
	}
}

// answer closes a proposal whose commands were all applied.
func (p *proposal) answer(results []apply.Result) {
	p.results = results
	p.timing.Apply = time.Since(p.logged)
	p.finish(nil)
}
