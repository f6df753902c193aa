package group

import (
	"context"
	"slices"
	"sync"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/replica"
)

// maxWaiting bounds the commands that wait for the loop; their bytes are bounded
// by admission.
const maxWaiting = 1 << 16

// maxMessages bounds the messages of other replicas that wait for the loop. One too many
// is dropped, as the network may do.
const maxMessages = 1 << 14

// inbox is where everything waits that the loop has to do with.
type inbox struct {
	mu   sync.Mutex
	news news
	// proposals wait by themselves: they are not always taken.
	proposals []*proposal
	count     int // commands in proposals
	closed    bool
	signal    chan struct{} // holds one token when there may be news
}

// news is what has come in.
type news struct {
	reads    []*read
	messages []*pb.Message
	bytes    int64 // of the entries in messages
	logged   []*replica.Append
	applied  []task   // that are done
	errands  []func() // other things to do on the loop
	closed   bool
}

// put adds a proposal, or says why it cannot.
func (in *inbox) put(p *proposal) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.closed {
		return sheaf.Errorf(sheaf.Draining, "the node is shutting down")
	}
	if in.count >= maxWaiting {
		return &sheaf.Error{Code: sheaf.RateLimited, Detail: "too many batches wait for the log", RetryAfter: 100 * time.Millisecond}
	}
	in.proposals = append(in.proposals, p)
	in.count += len(p.cmds)
	in.wake()
	return nil
}

// add changes the news under the lock and wakes the loop.
func (in *inbox) add(change func(n *news)) {
	in.note(change)
	in.wake()
}

// note is add for who takes the turn too.
func (in *inbox) note(change func(n *news)) {
	in.mu.Lock()
	change(&in.news)
	in.mu.Unlock()
}

func (in *inbox) wake() {
	select {
	case in.signal <- struct{}{}:
	default:
	}
}

// take moves the news into into, whose lists are used again.
func (in *inbox) take(into *news) {
	clear(into.reads)
	clear(into.messages)
	clear(into.logged)
	clear(into.applied)
	old := *into
	in.mu.Lock()
	defer in.mu.Unlock()
	*into = in.news
	into.closed = in.closed
	in.news = news{reads: old.reads[:0], messages: old.messages[:0], logged: old.logged[:0], applied: old.applied[:0]}
}

// takeProposals returns those that wait; it swaps in spare as the next list.
func (in *inbox) takeProposals(spare []*proposal) []*proposal {
	clear(spare)
	in.mu.Lock()
	defer in.mu.Unlock()
	taken := in.proposals
	in.proposals, in.count = spare[:0], 0
	return taken
}

func (in *inbox) close() {
	in.mu.Lock()
	in.closed = true
	in.mu.Unlock()
	in.wake()
}

// Receive takes messages of other replicas. It keeps their bytes. Entries for which there is no
// room are dropped, as the network may do: their leader finds out, and sends them again one
// message after another.
func (g *Group) Receive(messages []*pb.Message) {
	g.inbox.note(func(n *news) {
		state := len(messages) == 1 && messages[0].GetType() == pb.MsgSnap // its files are there
		if len(n.messages)+len(messages) > maxMessages && !state {
			return
		}
		for _, m := range messages {
			size := entryBytes(m.GetEntries())
			if waits := n.bytes + g.backlog.Load(); size > 0 && waits > 0 && g.cfg.ReceiveBytes > 0 && waits+size > g.cfg.ReceiveBytes {
				continue
			}
			n.bytes += size
			n.messages = append(n.messages, m)
		}
	})
	if slices.ContainsFunc(messages, ofRead) {
		g.takeTurn()
	} else {
		g.inbox.wake()
	}
}

// ofRead says whether a message belongs to a linearizable read, for which nothing is written.
func ofRead(m *pb.Message) bool {
	switch m.GetType() {
	case pb.MsgHeartbeat, pb.MsgHeartbeatResp:
		return len(m.GetContext()) > 0
	case pb.MsgReadIndex, pb.MsgReadIndexResp:
		return true
	default:
		return false
	}
}

func entryBytes(entries []*pb.Entry) (n int64) {
	for _, e := range entries {
		n += replica.EntryBytes(e)
	}
	return n
}

// propose hands a proposal to the loop and waits until it has its results, or an error in
// it. After an error of propose itself the proposal is still the group's.
func (g *Group) propose(ctx context.Context, p *proposal) error {
	if err := ctx.Err(); err != nil {
		p.drop()
		return notProposed(err)
	}
	if err := g.inbox.put(p); err != nil {
		p.drop()
		return err
	}
	select {
	case <-p.done:
	case <-g.failed:
		return sheaf.Errorf(sheaf.OutcomeUnknown, "the node failed and is about to end")
	case <-ctx.Done():
		if p.state.CompareAndSwap(waiting, abandoned) {
			p.leave() // until the loop comes across it
			return notProposed(ctx.Err())
		}
		// Taken: it is in the log or on its way. An answer that is already there is
		// better than "unknown".
		select {
		case <-p.done:
		default:
			p.leave()
			return &sheaf.Error{Code: sheaf.OutcomeUnknown, Err: ctx.Err(), Detail: "the batch was in the log's hands when the caller gave up"}
		}
	}
	return nil
}

func notProposed(err error) error {
	return &sheaf.Error{Code: sheaf.NotProposed, Err: err, Detail: "nothing was written by this call"}
}
