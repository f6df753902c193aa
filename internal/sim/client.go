package sim

import (
	"fmt"
	"time"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/replica"
	"github.com/sheafdb/sheaf/internal/wire"
)

// keyGroups is how many sets of keys there are, keysPerGroup how many keys a batch of a set
// can have.
const (
	keyGroups    = 3
	keysPerGroup = 4
)

// client does one operation after the other, and each until it is answered.
type client struct {
	w    *World
	id   int
	left int  // operations
	busy bool // one is under way
	// seen is the ETag of the last read of a group of keys.
	seen [keyGroups]wire.ETagSum
	know [keyGroups]bool
}

// operation is one batch or read, with all its attempts.
type operation struct {
	client    int
	began     time.Duration
	ended     time.Duration
	group     int
	requestID string
	data      *wire.Command // nil for a read
	outcome   outcome
	version   uint64
	values    []value
	attempts  int
	// maybe: an attempt may have been taken, though this is not known.
	maybe bool
}

type outcome int

const (
	pending   outcome = iota
	committed         // at version
	refused           // by a condition
	read
	neverSent // all attempts did nothing
	open      // nobody knows
)

func (w *World) addClient(id int) {
	c := &client{w: w, id: id, left: w.cfg.Operations}
	w.clients = append(w.clients, c)
	w.after(w.between(0, time.Second), c.next)
}

// next begins the next operation. While there are faults there is always one more.
func (c *client) next() {
	c.busy = false
	if c.left == 0 && c.w.calm {
		return
	}
	c.left = max(c.left-1, 0)
	c.busy = true
	c.w.stats.Operations++
	op := &operation{client: c.id, began: c.w.now, group: c.w.rng.IntN(keyGroups)}
	c.w.record.operations = append(c.w.record.operations, op)
	if !c.w.chance(3) {
		c.makeBatch(op)
	}
	c.attempt(op)
}

func keysOf(group int) (keys []string) {
	for i := range keysPerGroup {
		keys = append(keys, fmt.Sprintf("g%d-%d", group, i))
	}
	return keys
}

// makeBatch writes some of the group's keys, each with what names the operation, and
// deletes some. One in eight has no request ID; one in four is conditional on what was read last.
func (c *client) makeBatch(op *operation) {
	w := c.w
	op.requestID = fmt.Sprintf("c%d-%d", c.id, w.stats.Operations)
	var raw []byte
	for i, key := range keysOf(op.group) {
		if i > 0 && w.chance(3) {
			continue
		}
		entry := wire.Entry{Key: []byte(key), Value: []byte(op.requestID)}
		if i > 0 && w.chance(8) {
			entry.Value, entry.Delete = nil, true
		}
		raw = wire.AppendEntry(raw, &entry)
	}
	entries, err := wire.ParseEntries(raw, sheaf.DefaultLimits())
	if err != nil {
		w.fail("make a batch: %v", err)
		return
	}
	op.data = &wire.Command{
		Kind: wire.Fast, Level: sheaf.Linearizable, RequestID: op.requestID,
		Entries: entries, Fingerprint: wire.FingerprintOf(entries, sheaf.Linearizable),
		RetentionMS: 600_000, MaxRows: 1 << 20,
	}
	switch {
	case w.chance(8):
		op.data.RequestID = ""
	case c.know[op.group] && w.chance(4):
		op.data.IfMatch = wire.Match{Set: true, Tags: []wire.ETagSum{c.seen[op.group]}}
	}
}

// patience is how long a client waits for an answer before it tries elsewhere.
const patience = 2 * time.Second

// attempt sends the operation to some replica.
func (c *client) attempt(op *operation) {
	w := c.w
	op.attempts++
	n := w.replicas[w.rng.IntN(len(w.replicas))]
	if leader := w.leader(); leader != nil && w.chance(2) {
		n = leader
	}
	answered := false
	hear := func(a answer) {
		if !answered {
			answered = true
			c.hear(op, a)
		}
	}
	w.after(patience, func() { hear(answer{kind: unknown}) })
	w.after(w.delay(), func() {
		if answered {
			return
		}
		if !n.alive {
			w.after(w.delay(), func() { hear(answer{kind: notDone}) })
			return
		}
		n.soon(0, func() {
			reply := func(a answer) { w.after(w.delay(), func() { hear(a) }) }
			if op.data == nil {
				n.read(keysOf(op.group), reply)
			} else {
				n.put(op.data, reply)
			}
		})
	})
}

// hear takes an answer, and decides whether to try again.
func (c *client) hear(op *operation, a answer) {
	w := c.w
	switch {
	case a.kind == done && op.data == nil:
		op.outcome, op.values = read, a.values
	case a.kind == done && a.result.Refused != nil:
		op.outcome = refused
		if a.result.Refused.Code != sheaf.ETagMismatch {
			w.fail("%s: refused: %v", op.requestID, a.result.Refused)
		}
	case a.kind == done:
		op.outcome, op.version = committed, a.result.Version
	default:
		op.maybe = op.maybe || a.kind == unknown
		again := op.data == nil || op.data.RequestID != "" || a.kind == notDone
		if again && (w.calm || op.attempts < 12) {
			w.after(w.between(0, 400*time.Millisecond), func() { c.attempt(op) })
			return
		}
		op.outcome = neverSent
		if op.maybe {
			op.outcome = open
		}
	}
	if op.outcome != open && op.outcome != neverSent {
		w.stats.Answered++
	}
	op.ended = w.now
	if op.outcome == read {
		c.seen[op.group], c.know[op.group] = etagOf(op), true
	}
	w.after(w.between(0, 200*time.Millisecond), c.next)
}

// etagOf is the ETag of what was read.
func etagOf(op *operation) (sum wire.ETagSum) {
	for i, key := range keysOf(op.group) {
		if v := op.values[i]; v.ok {
			sum.AddKey([]byte(key), v.version)
		}
	}
	return sum
}

// put proposes a batch, stamped with the replica's clock.
func (n *node) put(cmd *wire.Command, reply func(answer)) {
	stamped := *cmd
	stamped.NowMS = n.wallMS()
	n.lastToken++
	n.waiters[n.lastToken] = reply
	n.core.Propose(n.lastToken, append(stamped.AppendHeader(nil), stamped.Entries.Raw()...))
	n.turn()
}

// read answers with keys of one state.
func (n *node) read(keys []string, reply func(answer)) {
	serve := func(a answer) {
		if a.kind == done {
			a.values = n.state.read(keys)
		}
		reply(a)
	}
	if n.w.cfg.Mutant == ReadAtOnce {
		serve(answer{kind: done})
		return
	}
	n.lastToken++
	n.waiters[n.lastToken] = serve
	n.core.Read(n.lastToken)
	n.turn()
}

// answerEarly is what AnswerBeforeCommit does: whoever waits for an entry that the leader
// has logged is told that it is committed.
func (n *node) answerEarly(a *replica.Append) {
	if !n.core.Status().Leading {
		return
	}
	for token := replica.Token(1); token <= n.lastToken && len(a.Entries) > 0; token++ {
		n.tell(token, answer{kind: done})
	}
}
