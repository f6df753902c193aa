package sim

import (
	"time"

	"github.com/sheafdb/sheaf"
)

// client does one operation after the other, and each until it is answered. It is a session:
// it passes along the largest version that it has seen.
type client struct {
	w    *World
	id   int
	left int  // operations
	busy bool // one is under way
	// seen is what the last read of all keys of a set saw.
	seen [keysets]*operation
	// session is the largest version seen, and highest that of each key.
	session uint64
	highest [keysets][keysPerKeyset]uint64
}

func (w *World) addClient(id int) {
	c := &client{w: w, id: id, left: w.cfg.Operations}
	w.clients = append(w.clients, c)
	w.after(w.between(0, time.Second), c.next)
}

// next begins the next operation. While there are faults there is always one more.
func (c *client) next() {
	w := c.w
	c.busy = false
	if c.left == 0 && w.calm {
		return
	}
	c.left = max(c.left-1, 0)
	c.busy = true
	w.stats.Operations++
	op := &operation{client: c.id, began: w.now, set: w.rng.IntN(keysets)}
	op.session = c.highest[op.set]
	w.operations = append(w.operations, op)
	switch {
	case w.chance(3):
		c.makeRead(op)
	case w.chance(5):
		c.makeBundle(op)
	default:
		c.makeBatch(op)
	}
	c.attempt(op)
}

// sessionVersion is what an operation comes after: what this client has seen, and sometimes
// what it was told that another has.
func (c *client) sessionVersion() uint64 {
	if c.w.chance(3) {
		return max(c.session, c.w.clients[c.w.rng.IntN(len(c.w.clients))].session)
	}
	return c.session
}

// attempt has a coordinator carry the operation out. It may be a second one beside one that
// is still at it.
func (c *client) attempt(op *operation) {
	w := c.w
	op.attempts++
	t := &try{c: c, op: op, carry: &carrier{mortal: true, overAt: w.now + w.between(time.Second, 8*time.Second)}}
	w.spawn(t.carry, t.body(), func(died bool) {
		if died {
			t.retry()
		}
	})
	// A hedge: the same request again, elsewhere, while the first is at work.
	if w.chance(10) {
		w.after(w.between(0, 2*time.Second), func() {
			if !t.heard && op.outcome == pending {
				c.attempt(op)
			}
		})
	}
}

// try is one attempt at an operation.
type try struct {
	c     *client
	op    *operation
	carry *carrier
	heard bool
}

// body is the coordinator's work.
func (t *try) body() func() {
	op := t.op
	switch {
	case op.kind == scanKeys:
		return t.scan
	case op.kind == readKeys:
		return t.read
	case op.kind == bundle:
		return t.putBundle
	case op.level == sheaf.Sequential:
		return t.putParts
	case op.level == sheaf.Eventual:
		return t.putAccepted
	default:
		return t.putAtomic
	}
}

// retry has the client try again, unless it was answered.
func (t *try) retry() {
	if w := t.c.w; !t.heard && t.op.outcome == pending {
		t.heard = true
		w.after(w.between(0, 300*time.Millisecond), func() {
			if t.op.outcome == pending {
				t.c.attempt(t.op)
			}
		})
	}
}

// answer brings an answer to the client. The first counts.
func (t *try) answer(do func()) {
	if t.op.outcome != pending {
		return
	}
	t.heard = true
	t.c.w.after(t.c.w.delay(), func() {
		if t.op.outcome == pending {
			do()
			t.c.ended(t.op)
		}
	})
}

// ended takes what the client has seen into its session.
func (c *client) ended(op *operation) {
	c.w.stats.Answered++
	op.ended = c.w.now
	for i := range keysPerKeyset {
		version := op.values[i].version
		if op.kind == batch && op.writes[i] != leave {
			version = op.version
			if op.level == sheaf.Sequential {
				version = op.parts[c.w.groupOf(keysOf(op.set)[i])-1].version
			}
		}
		c.saw(op.set, i, version)
	}
	for _, one := range op.each {
		for i, what := range one.writes {
			if what != leave {
				c.saw(op.set, i, one.version)
			}
		}
	}
	c.w.after(c.w.between(0, 100*time.Millisecond), c.next)
}

// saw takes a version of a key into the session.
func (c *client) saw(set, key int, version uint64) {
	c.highest[set][key] = max(c.highest[set][key], version)
	c.session = max(c.session, version)
}
