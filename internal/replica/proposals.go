package replica

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
)

// proposals are the commands of this replica's callers on their way.
type proposals struct {
	// next are those that raft has not got yet.
	next []proposal
	// logged are those in raft's log, by index.
	logged map[uint64]logged
	// message is what raft is given them in; it keeps nothing of it.
	message pb.Message
}

// emptyEntry is copied by raft for every command.
var emptyEntry = &pb.Entry{}

type proposal struct {
	token Token
	entry *pb.Entry
	// data is that of a command. raft copies what it is given, so it gets an empty entry,
	// which is filled when it has its place.
	data []byte
}

// logged is a proposal that got a place in the log. Only an entry of that term there is it.
type logged struct {
	token Token
	term  uint64
}

// Propose offers a command to the log. What becomes of it is in Work: Refused, Unknown,
// or an entry of Apply with the token. Proposals wait while raft hands its office
// over. How much is on its way is for the driver to bound.
//
// The core keeps data, which must not change any more.
func (c *Core) Propose(token Token, data []byte) {
	c.proposals.next = append(c.proposals.next, proposal{token: token, entry: emptyEntry, data: data})
}

// ProposeChange offers a change of the group's replicas. raft takes one at a time: an
// entry without data takes the place of one too many.
func (c *Core) ProposeChange(token Token, change *pb.ConfChangeV2) error {
	kind, data, err := pb.MarshalConfChange(change)
	if err != nil {
		return err
	}
	c.proposals.next = append(c.proposals.next, proposal{token: token, entry: &pb.Entry{Type: kind.Enum(), Data: data}})
	return nil
}

// propose gives raft what waits and returns how many entries at the end of its log that
// made. It is the last step of a turn before raft is asked for work: raft says neither the
// index nor the term of what it was given.
func (c *Core) propose(w *Work) (given int) {
	p := &c.proposals
	if len(p.next) == 0 {
		return 0
	}
	if !c.officeNow().leading {
		for _, one := range p.next {
			w.Refused = append(w.Refused, one.token)
		}
		p.next = p.next[:0]
		return 0
	}
	p.message.Entries = p.message.Entries[:0]
	for i := range p.next {
		p.message.Entries = append(p.message.Entries, p.next[i].entry)
	}
	err := c.node.Step(&p.message)
	if errors.Is(err, raft.ErrProposalDropped) { // it is handing its office over
		return 0
	}
	return len(p.next)
}

// place notes where in the log the proposals are that raft has just been given: the last
// of the entries that it wants to have logged.
func (c *Core) place(entries []*pb.Entry) {
	p := &c.proposals
	for i, e := range entries {
		p.logged[e.GetIndex()] = logged{p.next[i].token, e.GetTerm()}
		if data := p.next[i].data; data != nil {
			e.Data = data // raft's own entry, to which messages of this turn point
		}
	}
	clear(p.next)
	p.next = p.next[:0]
}

// abandon says that the outcome of all that is logged is unknown.
func (p *proposals) abandon(w *Work) {
	for _, index := range slices.Sorted(maps.Keys(p.logged)) { // the same every time
		w.Unknown = append(w.Unknown, p.logged[index].token)
	}
	clear(p.logged)
}

// claim returns the token of a committed entry, 0 if it is not of a caller here. A leader's log
// only grows, and what it had logged is abandoned with its office: no other entry has its place.
func (p *proposals) claim(index, term uint64) Token {
	one, ok := p.logged[index]
	if !ok {
		return 0
	}
	if one.term != term {
		panic(fmt.Sprintf("replica: log entry %d is of term %d, and was proposed in term %d", index, term, one.term))
	}
	delete(p.logged, index)
	return one.token
}
