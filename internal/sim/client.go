package sim

import (
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/coordinator"
	"github.com/sheafdb/sheaf/internal/wire"
)

// client does one operation after the other, and each until it is answered.
type client struct {
	w    *World
	id   int
	left int  // operations
	busy bool // one is under way
	// seen is what the last read of a set of keys saw.
	seen [keysets]*operation
}

// operation is one batch or read, with all its attempts.
type operation struct {
	client       int
	began, ended time.Duration
	set          int
	outcome      outcome
	attempts     int

	// Of a read, and of a condition.
	values [keysPerKeyset]value

	// Of a batch.
	id      string // the value of its keys
	writes  [keysPerKeyset]write
	command *wire.Command
	onlyIf  *operation // the condition: everything is as this read saw it
	onlyNew bool       // the condition: none of the keys is there
	version uint64
}

// write is what a batch does to a key.
type write byte

const (
	leave write = iota
	put
	remove
)

// value is what a key had: the batch that wrote it, or nothing.
type value struct {
	batch   string
	version uint64
}

type outcome int

const (
	pending   outcome = iota
	committed         // at version
	refused           // by its condition
	read
	open // nobody knows
)

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
	w.operations = append(w.operations, op)
	if !w.chance(3) {
		c.makeBatch(op)
	}
	c.attempt(op)
}

// makeBatch writes some keys of the set, each with what names the operation, and deletes
// some, or only deletes. Half of the batches are conditional: on what was read last, or on
// that no key is there.
func (c *client) makeBatch(op *operation) {
	w := c.w
	op.id = fmt.Sprintf("c%d-%d", c.id, w.stats.Operations)
	var raw []byte
	onlyDeletes := w.chance(8)
	for i, key := range keysOf(op.set) {
		entry := wire.Entry{Key: key, Value: []byte(op.id)}
		switch {
		case len(raw) > 0 && w.chance(3):
			continue
		case onlyDeletes || w.chance(10):
			op.writes[i] = remove
			entry.Value, entry.Delete = nil, true
		default:
			op.writes[i] = put
		}
		raw = wire.AppendEntry(raw, &entry)
	}
	entries := wire.Canonical(raw)
	op.command = &wire.Command{
		Kind: wire.Fast, Level: sheaf.Linearizable, RequestID: w.requestID(op.id),
		Entries: entries, Fingerprint: wire.FingerprintOf(entries, sheaf.Linearizable),
	}
	seen := c.seen[op.set]
	switch {
	case w.chance(5):
		op.onlyNew = true
		op.command.IfNoneMatch = wire.Match{Set: true, Star: true}
	case seen != nil && w.chance(3):
		// An ETag is of the keys that are written.
		op.onlyIf = seen
		var sum wire.ETagSum
		for i, key := range keysOf(op.set) {
			if op.writes[i] != leave && seen.values[i].batch != "" {
				sum.AddKey(key, seen.values[i].version)
			}
		}
		op.command.IfMatch = wire.Match{Set: true, Tags: []wire.ETagSum{sum}}
	}
}

// requestID names a batch: as any caller may, or as our client does, with the time of its issue.
func (w *World) requestID(name string) string {
	if w.chance(2) {
		return "id-" + name
	}
	var id uuid.UUID
	binary.BigEndian.PutUint64(id[:], uint64(epochMS+w.now.Milliseconds())<<16|7<<12|w.rng.Uint64N(1<<12))
	binary.BigEndian.PutUint64(id[8:], 2<<62|w.rng.Uint64N(1<<62))
	return "v7-" + id.String()
}

// attempt has a coordinator carry the operation out. It may be a second one beside one that
// is still at it.
func (c *client) attempt(op *operation) {
	w := c.w
	op.attempts++
	carry := &carrier{mortal: true, overAt: w.now + w.between(time.Second, 8*time.Second)}
	heard := false
	retry := func() {
		if !heard && op.outcome == pending {
			heard = true
			w.after(w.between(0, 300*time.Millisecond), func() { c.attempt(op) })
		}
	}
	answered := func(do func()) {
		if op.outcome == pending {
			heard = true
			w.after(w.delay(), func() {
				if op.outcome == pending {
					do()
					c.ended(op)
				}
			})
		}
	}
	body := func() { c.readSet(carry, op, answered, retry) }
	if op.command != nil {
		body = func() { c.putBatch(carry, op, answered, retry) }
	}
	w.spawn(carry, body, func(died bool) {
		if died {
			retry()
		}
	})
	// A hedge: the same request again, elsewhere, while the first is at work.
	if w.chance(10) {
		w.after(w.between(0, 2*time.Second), func() {
			if !heard && op.outcome == pending {
				c.attempt(op)
			}
		})
	}
}

// tryAgain are the refusals after which a client repeats its request.
var tryAgain = []sheaf.Code{sheaf.NotProposed, sheaf.Contention, sheaf.OutcomeUnknown}

// putBatch is a coordinator's work for a batch.
func (c *client) putBatch(carry *carrier, op *operation, answered func(func()), retry func()) {
	several := &coordinator.Several{
		Command: op.command, Parts: coordinator.Split(op.command.Entries, c.w.groupOf), GroupOf: c.w.groupOf,
	}
	answer, err := several.Run(carry)
	switch {
	case err == nil:
		answered(func() { op.outcome, op.version = committed, answer.Version })
	case sheaf.CodeOf(err) == sheaf.ETagMismatch:
		answered(func() { op.outcome = refused })
	case slices.Contains(tryAgain, sheaf.CodeOf(err)):
		retry()
	default:
		c.w.fail("%s: refused: %v", op, err)
	}
	several.Finish()
}

// readSet is a coordinator's work for a read.
func (c *client) readSet(carry *carrier, op *operation, answered func(func()), retry func()) {
	snapshot := &coordinator.Snapshot{Keys: keysOf(op.set), GroupOf: c.w.groupOf}
	values, err := snapshot.Run(carry)
	if err != nil {
		retry()
		return
	}
	answered(func() {
		op.outcome = read
		for i, v := range values {
			if v.Live {
				op.values[i] = value{string(v.Value), v.Version}
			}
		}
		c.seen[op.set] = op
	})
}

func (c *client) ended(op *operation) {
	c.w.stats.Answered++
	op.ended = c.w.now
	c.w.after(c.w.between(0, 100*time.Millisecond), c.next)
}

func (op *operation) String() string {
	what := fmt.Sprintf("read of set %d: %v", op.set, op.values)
	if op.command != nil {
		what = fmt.Sprintf("batch %s of set %d: %v", op.id, op.set, op.writes)
		if op.onlyIf != nil {
			what += fmt.Sprintf(", if %v", op.onlyIf.values)
		}
		if op.onlyNew {
			what += ", if none is there"
		}
	}
	return fmt.Sprintf("%s: %s at %d (client %d, %v to %v, %d attempts)", what, op.outcome, op.version, op.client, op.began, op.ended, op.attempts)
}

func (o outcome) String() string {
	return [...]string{"pending", "committed", "refused", "read", "open"}[o]
}
