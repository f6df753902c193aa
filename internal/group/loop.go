package group

import (
	"fmt"
	"math"
	"runtime/debug"
	"sync"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/sheafdb/sheaf/internal/replica"
	"github.com/sheafdb/sheaf/internal/store"
	"github.com/sheafdb/sheaf/internal/wire"
)

// loop is what a turn touches. Nothing in it waits: not for the disk, not for the state
// machine, not for the network.
type loop struct {
	// turning is held during a turn, and to set ended, after which there is none.
	turning sync.Mutex
	ended   bool

	core *replica.Core
	news news
	// proposals are those of this turn.
	proposals []*proposal
	// waiters are the commands on their way through the log.
	waiters map[replica.Token]waiter
	// readers wait until the state may be read.
	readers map[replica.Token]*read
	token   replica.Token
	// shared: another replica may have got entries, or may get them.
	shared bool
	// appends and applies are on their way to the log and the state machine.
	appends, applies int
	// appending are the bytes of the Appends.
	appending int64
	// installing has a state that is put into its place; behind are Appends after it.
	installing *replica.Append
	behind     []*replica.Append
	// offered is the directory of a state that raft was given in this turn.
	offered string
	// leaving are closed when this replica does not lead any more.
	leaving   []chan struct{}
	header    []byte
	stampedMS uint64 // the clock after the last command
	closing   time.Time
}

// runLoop drives the replica: it tells it the news and does what that makes there is to do.
func (g *Group) runLoop() {
	defer close(g.loopDone)
	ticker := time.NewTicker(tickInterval)
	defer ticker.Stop()
	for {
		tick, failed := false, false
		select {
		case <-g.inbox.signal:
		case <-ticker.C:
			tick = true
		case <-g.failed: // callers are told by the same channel
			failed = true
		}
		if g.turnInLoop(tick, failed) {
			return
		}
	}
}

// turnInLoop takes a turn, unless the group has failed, and says whether there is none after it.
func (g *Group) turnInLoop(tick, failed bool) bool {
	l := &g.loop
	l.turning.Lock()
	defer l.turning.Unlock()
	defer g.endIfBroken()
	if l.ended = l.ended || failed; l.ended {
		return true
	}
	if tick {
		l.core.Tick()
	}
	g.turn()
	l.ended = g.drained()
	return l.ended
}

// takeTurn is for who has brought news that another node, or a reader, waits for: he does what
// the loop would have to be woken for first, unless it is at work anyway.
func (g *Group) takeTurn() {
	l := &g.loop
	if !l.turning.TryLock() {
		g.inbox.wake()
		return
	}
	defer l.turning.Unlock()
	defer g.endIfBroken()
	if !l.ended {
		g.turn()
	}
}

// endIfBroken ends the group when its core cannot go on. Any other panic ends the process, in
// whoever's hands the turn is: a handler that recovers would leave half of it undone.
func (g *Group) endIfBroken() {
	p := recover()
	if p == nil {
		return
	}
	broken, ok := p.(*replica.Broken)
	if !ok {
		stack := debug.Stack()
		go panic(fmt.Sprintf("%v\n\n%s", p, stack))
		select {} // turning is held: nobody takes another turn
	}
	g.loop.ended = true
	g.fail(fmt.Errorf("%w: %s: this disk is older than what the node has promised to the others, or lost some of it (%w)",
		store.ErrCorrupt, g.cfg.Log.Dir(), broken))
}

// turn takes the news.
func (g *Group) turn() {
	l := &g.loop
	g.inbox.take(&l.news)
	for _, do := range l.news.errands {
		do()
	}
	for _, a := range l.news.logged {
		l.appends--
		l.appending -= entryBytes(a.Entries)
		g.logged(a)
	}
	for _, t := range l.news.applied {
		l.applies--
		l.core.Applied(t.apply)
	}
	for _, m := range l.news.messages {
		if m.GetType() != pb.MsgSnap || g.takeState(m) {
			l.core.Step(m)
		}
	}
	for _, r := range l.news.reads {
		l.ask(r)
	}
	g.work()
	g.dropState()
	g.takeProposals()
	g.work()
	g.trim()
}

// logged goes on with what had to wait for a write.
func (g *Group) logged(a *replica.Append) {
	g.loop.core.Logged(a)
	if a == g.loop.installing {
		g.installed()
	}
	if len(a.Replies) > 0 {
		g.cfg.Send(a.Replies)
	}
}

// trim lets go of log entries that no other replica will need. While there has never been
// another, nothing else has them once they are applied, and their memory is used again.
func (g *Group) trim() {
	l := &g.loop
	l.shared = l.shared || l.core.Others()
	if l.shared {
		l.core.Trim(g.cfg.TailBytes, g.copies.needed())
		most := max(g.cfg.TailBytes, g.cfg.TailMostBytes)
		l.core.Trim(most, math.MaxUint64)
		g.backlog.Store(l.appending + max(0, l.core.TailBytes()-most))
		return
	}
	l.core.Trim(0, math.MaxUint64)
	for _, t := range l.news.applied {
		for _, buffer := range t.buffers {
			buffer.Release()
		}
	}
}

// work does what there is to do.
func (g *Group) work() {
	l := &g.loop
	for {
		w, any := l.core.Work()
		if !any {
			break
		}
		g.noteAlone() // before anybody is sent anything
		if w.Office != nil {
			g.takeOffice(w.Office)
		}
		if len(w.Send) > 0 {
			g.cfg.Send(w.Send)
		}
		for _, token := range w.Refused {
			g.refuse(token)
		}
		for _, token := range w.Reads {
			if r := l.readers[token]; r != nil { // else its caller has gone
				r.serve()
				delete(l.readers, token)
			}
		}
		g.pass(&w)
		if w.Append != nil {
			g.append(w.Append)
		}
	}
	g.noteAlone()
}

func (g *Group) noteAlone() {
	g.alone.Store(g.loop.core.Alone())
	g.only.Store(g.loop.core.Only())
}

// append has a write made, in order. One with a state goes by way of the applier, which
// puts the state in its place first.
func (g *Group) append(a *replica.Append) {
	l := &g.loop
	if l.appends == 0 && a.Empty() {
		g.logged(a)
		return
	}
	l.appends++
	l.appending += entryBytes(a.Entries)
	switch {
	case a.Snapshot != nil:
		l.installing = a
		g.tasks.put(task{install: a})
	case l.installing != nil:
		l.behind = append(l.behind, a)
	default:
		g.cfg.Journal.write(g, a)
	}
}

// installed lets go what had to wait for a state.
func (g *Group) installed() {
	l := &g.loop
	l.installing = nil
	behind := l.behind
	l.behind = nil
	for _, a := range behind {
		l.appends--
		l.appending -= entryBytes(a.Entries)
		g.append(a)
	}
}

// refuse answers the caller of a command that is not in the log: this replica does not lead.
func (g *Group) refuse(token replica.Token) {
	w := g.loop.waiters[token]
	delete(g.loop.waiters, token)
	if w.p.missing--; w.p.missing == 0 { // the commands of a proposal are refused together
		w.p.finish(g.notLeader())
	}
}

// pass gives the applier what is committed, and what will never be known.
func (g *Group) pass(w *replica.Work) {
	l := &g.loop
	t := task{apply: w.Apply, unknown: l.take(w.Unknown)}
	if w.Apply == nil && len(t.unknown) == 0 {
		return
	}
	if w.Apply != nil {
		l.applies++
		t.waiters, t.buffers = make([]waiter, len(w.Apply.Entries)), make([]*wire.Buffer, len(w.Apply.Entries))
		for i := range w.Apply.Entries {
			if token := w.Apply.Entries[i].Token; token != 0 {
				t.waiters[i], t.buffers[i] = l.waiters[token], l.waiters[token].buffer()
				delete(l.waiters, token)
				t.waiters[i].p.commit()
			}
		}
	}
	g.tasks.put(t)
}

// take removes waiters.
func (l *loop) take(tokens []replica.Token) []waiter {
	var out []waiter
	for _, token := range tokens {
		out = append(out, l.waiters[token])
		delete(l.waiters, token)
	}
	return out
}

// commit notes that one more of the proposal's commands is committed.
func (p *proposal) commit() {
	if p.missing--; p.missing > 0 {
		return
	}
	p.committed = time.Now()
	p.timing.Log = p.committed.Sub(p.queued)
	if p.onDisk != nil {
		close(p.onDisk)
	}
}
