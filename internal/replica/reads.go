package replica

import (
	"encoding/binary"
	"slices"

	"go.etcd.io/raft/v3"
)

// reads are linearizable reads on their way. At most one round of raft's ReadIndex is in
// flight, and carries all that came before it; the others wait for the next.
type reads struct {
	incarnation uint64
	patience    int // ticks

	next  []Token
	round []Token // empty: no round is in flight
	// count numbers the rounds: an answer to an earlier one says nothing about those
	// who came after it.
	count uint64
	age   int // of the round, in ticks
	// confirmed may read once their index is applied, in the order of the indexes.
	confirmed []confirmed
	held      int // tokens in all three
}

type confirmed struct {
	index  uint64
	tokens []Token
}

func newReads(incarnation uint64, patience int) reads {
	return reads{incarnation: incarnation, patience: patience}
}

// Read asks for a read that sees all that was committed before. Its token is in
// Work.Reads once the state machine may be read, on a leader and on a follower alike. It
// waits for as long as there is no leader: the driver puts a deadline to it.
func (c *Core) Read(token Token) {
	c.reads.next = append(c.reads.next, token)
	c.reads.held++
}

// Reads is how many tokens of reads the core holds.
func (c *Core) Reads() int { return c.reads.held }

// ForgetReads drops the reads that nobody waits for any more. It looks at all there are, so
// a driver calls it for many at a time.
func (c *Core) ForgetReads(gone func(Token) bool) {
	r := &c.reads
	r.next = slices.DeleteFunc(r.next, gone)
	r.round = slices.DeleteFunc(r.round, gone) // an answer to an empty round is passed over
	r.held = len(r.next) + len(r.round)
	for i := range r.confirmed {
		r.confirmed[i].tokens = slices.DeleteFunc(r.confirmed[i].tokens, gone)
		r.held += len(r.confirmed[i].tokens)
	}
}

// begin starts a round if one is due.
func (c *Core) beginRead() {
	r := &c.reads
	if len(r.round) > 0 || len(r.next) == 0 || c.office.leader == raft.None {
		return
	}
	// raft makes reads wait for the first entry that a leader commits in its term, but not
	// in a group of one. There too the commit index is old at first: entries that were
	// acknowledged before a crash are above it.
	if c.office.leading && c.commit() <= c.office.commitBefore {
		return
	}
	r.round, r.next = r.next, nil
	r.count++
	r.age = 0
	c.node.ReadIndex(r.context())
}

// context names the round to raft, on this replica and on the leader.
func (r *reads) context() []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, r.incarnation), r.count)
}

// tick gives a round up that is not answered in time: raft drops requests silently, and
// the network may too.
func (r *reads) tick() {
	if len(r.round) == 0 {
		return
	}
	if r.age++; r.age > r.patience {
		r.again()
	}
}

// again puts the round's reads at the head of those that wait: a later index serves them
// as well.
func (r *reads) again() {
	r.next = append(r.round, r.next...)
	r.round = nil
}

// confirm takes raft's answers.
func (r *reads) confirm(states []raft.ReadState) {
	for _, s := range states {
		if len(r.round) > 0 && string(s.RequestCtx) == string(r.context()) {
			r.confirmed = append(r.confirmed, confirmed{s.Index, r.round})
			r.round = nil
		}
	}
}

// release gives the reads whose index is applied.
func (r *reads) release(applied uint64, w *Work) {
	n := 0
	for ; n < len(r.confirmed) && r.confirmed[n].index <= applied; n++ {
		w.Reads = append(w.Reads, r.confirmed[n].tokens...)
		r.held -= len(r.confirmed[n].tokens)
	}
	r.confirmed = append(r.confirmed[:0], r.confirmed[n:]...)
}
