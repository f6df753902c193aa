package group

import (
	"encoding/binary"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sheafdb/sheaf/internal/admission"
	"github.com/sheafdb/sheaf/internal/apply"
	"github.com/sheafdb/sheaf/internal/wire"
)

// Timing is how long a command spent where, for its caller: until it was committed, and
// from then on.
type Timing struct{ Log, Apply time.Duration }

// proposal is a set of commands of one caller on their way.
type proposal struct {
	cmds []*wire.Command
	// data has room for a command's header, and then its entries: see encode.
	data []encoded
	// state goes from waiting to taken by the loop or to abandoned by the caller,
	// once: it decides whether a caller who gave up may say "not proposed".
	state atomic.Int32
	// bytesOwner says who counts the commands' bytes as in flight.
	bytesOwner atomic.Int32
	gate       *admission.Gate
	// done gets one token after results, err and timing were written and nothing here
	// touches the proposal any more.
	done    chan struct{}
	results []apply.Result
	err     error
	timing  Timing
	queued  time.Time

	// What follows belongs to the loop: how many of the commands are not yet committed.
	missing int
	// committed is when none was missing any more; onDisk, if not nil, is closed then.
	committed time.Time
	onDisk    chan<- struct{}

	// settled belongs to the applier: how many of the commands have come to their end.
	settled int
}

// encoded is a command's log entry before its stamps are known.
type encoded struct {
	buffer *wire.Buffer
	// room is how many of the buffer's bytes are for the header.
	room int
}

// stampBytes is how much the stamps, three varints of at least a byte, can add to a header.
const stampBytes = 3 * (binary.MaxVarintLen64 - 1)

// encode copies the entries to where the log entry will have them. It is done by the caller
// and not by the loop, which holds up the log while it copies.
func (p *proposal) encode() {
	var scratch [256]byte
	for _, cmd := range p.cmds {
		room := len(cmd.AppendHeader(scratch[:0])) + stampBytes
		buffer := wire.NewBuffer(room + len(cmd.Entries.Raw()))
		copy(buffer.Bytes()[room:], cmd.Entries.Raw())
		p.data = append(p.data, encoded{buffer, room})
	}
}

// finish puts the header in front of the entries and returns the log entry's data.
func (e *encoded) finish(header []byte) []byte {
	data := e.buffer.Bytes()[e.room-len(header):]
	copy(data, header)
	return data
}

const (
	waiting int32 = iota
	taken
	abandoned
)

const (
	ownedByCaller int32 = iota
	ownedByGroup
	dropped
)

// proposals are those whose callers have taken what was in done.
var proposals = sync.Pool{New: func() any { return &proposal{done: make(chan struct{}, 1)} }}

// newProposal holds the commands' sources until drop.
func (g *Group) newProposal(cmds ...*wire.Command) *proposal {
	for _, cmd := range cmds {
		cmd.Source.Hold()
	}
	p := proposals.Get().(*proposal)
	p.cmds, p.gate, p.queued, p.missing = append(p.cmds, cmds...), g.cfg.Gate, time.Now(), len(cmds)
	p.encode()
	return p
}

// reuse is for who has taken what was in done, and copied the results.
func (p *proposal) reuse() {
	clear(p.cmds)
	clear(p.data)
	clear(p.results)
	*p = proposal{done: p.done, cmds: p.cmds[:0], data: p.data[:0], results: p.results[:0]}
	proposals.Put(p)
}

// finish is the last that the group does with a proposal.
func (p *proposal) finish(err error) {
	p.err = err
	p.drop()
	p.done <- struct{}{}
}

// drop is called when nothing here reads the commands' bytes any more. If the
// caller has gone, it is the one who still counts them.
func (p *proposal) drop() {
	for _, cmd := range p.cmds {
		cmd.Source.Release()
	}
	if !p.bytesOwner.CompareAndSwap(ownedByCaller, dropped) {
		p.gate.Release(p.size())
	}
}

// leave is called by a caller who gives up: from here until drop, the commands'
// bytes are in memory without anyone waiting for them, and are counted here.
func (p *proposal) leave() {
	p.gate.Hold(p.size())
	if !p.bytesOwner.CompareAndSwap(ownedByCaller, ownedByGroup) {
		p.gate.Release(p.size()) // dropped in the meantime
	}
}

func (p *proposal) size() (n int64) {
	for _, cmd := range p.cmds {
		n += int64(len(cmd.Entries.Raw()))
	}
	return n
}

// ticksOnly says that a proposal frees what has expired, and writes next to nothing.
func (p *proposal) ticksOnly() bool { return p.cmds[0].Kind == wire.Tick }

// waiter is one command of a proposal.
type waiter struct {
	p *proposal
	n int
}

// commandOrNil is nil where nobody here waits.
func (w waiter) commandOrNil() *wire.Command {
	if w.p == nil {
		return nil
	}
	return w.p.cmds[w.n]
}

func (w waiter) buffer() *wire.Buffer { return w.p.data[w.n].buffer }
