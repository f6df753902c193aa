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

// maxRoundBytes bounds what one append writes, but for a single larger batch.
const maxRoundBytes = 64 << 20

// logWriter is what runLog alone touches.
type logWriter struct {
	lastIndex uint64 // the last index given
	stampedMS uint64 // the clock after the last command
	entries   []wal.Entry
	headers   []byte
}

// runLog owns the log: it takes all that waits, appends it in one write with
// one fsync, and passes it on.
func (g *Group) runLog() {
	defer close(g.logDone)
	defer close(g.rounds)
	var spare []*proposal
	for {
		batch, ok := g.inbox.take(spare)
		if !ok {
			return
		}
		live := g.withRoom(g.claim(batch))
		clear(batch)
		spare = batch
		for len(live) > 0 {
			n := roundLen(live)
			if err := g.logRound(live[:n:n]); err != nil {
				refuseAll(live[n:], sheaf.Errorf(sheaf.OutcomeUnknown, "the log failed"))
				g.fail(err)
				return
			}
			live = live[n:]
		}
		g.cut.maybe()
	}
}

// claim takes the proposals whose callers still wait.
func (g *Group) claim(batch []*proposal) (live []*proposal) {
	select {
	case live = <-g.lists:
	default:
	}
	for _, p := range batch {
		if p.state.CompareAndSwap(waiting, taken) {
			live = append(live, p)
		} else {
			p.drop()
		}
	}
	return live
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

// logRound makes proposals durable and passes them to the applier. An error means
// that the log has failed, and that nobody may be told anything but "unknown".
func (g *Group) logRound(live []*proposal) error {
	w := &g.writer
	now, stampedMS := g.nowMS(), w.stampedMS
	if ticks := g.catchUp(now); len(ticks) > 0 {
		live = append(ticks, live...)
	}
	first := w.lastIndex + 1
	g.encode(live, now)
	err := g.cfg.Log.Append(w.entries, nil)
	if errors.Is(err, wal.ErrNoSpace) {
		w.stampedMS = stampedMS
		refuseAll(live, &sheaf.Error{Code: sheaf.NoSpace, Detail: "the log found no room on the disk", RetryAfter: time.Second, Err: err})
		return nil
	}
	if err != nil {
		refuseAll(live, sheaf.Errorf(sheaf.OutcomeUnknown, "the log failed"))
		return fmt.Errorf("append to the log: %w", err)
	}
	w.lastIndex += uint64(len(w.entries))
	clear(w.entries) // do not hold on to the batches
	logged := time.Now()
	for _, p := range live {
		p.logged = logged
		p.timing.Log = logged.Sub(p.queued)
		if p.onDisk != nil {
			close(p.onDisk)
		}
	}
	g.rounds <- round{live, first}
	if g.inbox.empty() {
		if err := g.cfg.Log.MarkIdle(); err != nil {
			return fmt.Errorf("mark the end of the log: %w", err)
		}
	}
	return nil
}

// withRoom refuses what the disk or the log has no room for. Ticks always have:
// they write next to nothing and free what has expired.
func (g *Group) withRoom(live []*proposal) []*proposal {
	err := g.cut.waitForRoom()
	if err == nil {
		if err = g.cfg.Room(); err == nil {
			return live
		}
		g.cut.start(true) // what it frees may be enough
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
func (g *Group) encode(live []*proposal, now uint64) {
	w := &g.writer
	w.entries, w.headers = w.entries[:0], w.headers[:0]
	for _, p := range live {
		for _, cmd := range p.cmds {
			g.stamp(cmd, now)
			start := len(w.headers)
			w.headers = cmd.AppendHeader(w.headers)
			w.entries = append(w.entries, wal.Entry{
				Group: g.cfg.ID, Term: term, Index: w.lastIndex + 1 + uint64(len(w.entries)),
				Head: w.headers[start:len(w.headers):len(w.headers)], Body: cmd.Entries.Raw(),
			})
		}
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
	w := &g.writer
	if w.stampedMS == 0 { // the first stamp is taken as it is
		w.stampedMS = now
	}
	var ticks []*proposal
	for ; now > w.stampedMS+apply.MaxClockStepMS && len(ticks) < maxCatchUp; w.stampedMS += apply.MaxClockStepMS {
		ticks = append(ticks, g.newProposal(&wire.Command{Kind: wire.Tick}))
	}
	w.stampedMS = max(w.stampedMS, now)
	return ticks
}

func refuseAll(proposals []*proposal, err error) {
	for _, p := range proposals {
		p.finish(err)
	}
}

// answer ends a proposal whose commands were all applied and have their results.
func (p *proposal) answer() {
	p.timing.Apply = time.Since(p.logged)
	p.finish(nil)
}
