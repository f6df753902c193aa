package group

import (
	"time"

	"github.com/sheafdb/sheaf/internal/apply"
	"github.com/sheafdb/sheaf/internal/wire"
)

// tickEvery is how often a group looks for something due. With the fsync of a
// Tick it keeps an expired key's last read within the promised 500 ms.
const tickEvery = 100 * time.Millisecond

// runTick proposes a Tick when something is due and this replica leads, so that keys
// expire on an idle node too. A group with nothing due writes nothing.
func (g *Group) runTick() {
	defer close(g.tickDone)
	ticker := time.NewTicker(tickEvery)
	defer ticker.Stop()
	seen, nextMS, pending := uint64(0), uint64(0), false
	for first := true; ; first = false {
		select {
		case <-g.stopping:
			return
		case <-ticker.C:
		}
		if applied := g.applied.Load(); first || applied != seen {
			var err error
			if nextMS, pending, err = g.nextDue(); err != nil {
				g.cfg.Logger.Error("look for what is due", "group", g.cfg.ID, "err", err)
				continue
			}
			seen = applied
		}
		for more := pending && g.office.Load().Leading && g.nowMS() >= nextMS; more; {
			var err error
			if more, err = g.tick(); err != nil {
				g.cfg.Logger.Debug("tick was not taken", "group", g.cfg.ID, "err", err)
				more = false
			}
		}
	}
}

func (g *Group) nextDue() (uint64, bool, error) {
	view := g.store.View()
	defer view.Close() //nolint:errcheck // reading is over
	return apply.NextDue(view)
}

// tick proposes one Tick and waits for it, or for the group to stop.
func (g *Group) tick() (more bool, err error) {
	p := g.newProposal(&wire.Command{Kind: wire.Tick})
	if err := g.inbox.put(p); err != nil {
		return false, err
	}
	select {
	case <-p.done:
	case <-g.failed:
		return false, nil
	case <-g.stopping:
		return false, nil
	}
	defer p.reuse()
	if p.err != nil {
		return false, p.err
	}
	return p.results[0].More, nil
}
