package sim

import (
	"errors"
	"iter"
	"time"

	"github.com/sheafdb/sheaf/internal/coordinator"
	"github.com/sheafdb/sheaf/internal/replica"
	"github.com/sheafdb/sheaf/internal/wire"
)

// carrier runs one coordinator as a coroutine: it runs until it calls a group or waits, and
// goes on when the world has come to the answer. A coordinator can die at any call.
type carrier struct {
	w     *World
	yield func(struct{}) bool
	// resume goes on with the coordinator.
	resume func()
	// skew is how far the coordinator's clock is off.
	skew    time.Duration
	mortal  bool // may die at a call
	dead    bool
	overAt  time.Duration
	patient bool // waits for as long as it takes
	over    bool // it has come to its end
}

// errDead ends the coroutine of a coordinator that has died.
var errDead = errors.New("dead")

// spawn runs a coordinator. ended is told whether it came to its end.
func (w *World) spawn(c *carrier, body func(), ended func(died bool)) {
	c.w = w
	c.skew = w.between(-300*time.Millisecond, 300*time.Millisecond)
	next, stop := iter.Pull(func(yield func(struct{}) bool) {
		defer func() {
			if p := recover(); p != nil && p != errDead { //nolint:errorlint // the very value
				panic(p)
			}
		}()
		c.yield = yield
		body()
	})
	c.resume = func() {
		if c.dead {
			stop()
			c.over = true
			ended(true)
			return
		}
		if _, more := next(); !more {
			stop()
			c.over = true
			ended(false)
		}
	}
	w.after(0, c.resume)
}

// pause hands over to the world until resume.
func (c *carrier) pause() {
	if !c.yield(struct{}{}) {
		panic(errDead)
	}
}

// Call is part of coordinator.Carrier.
func (c *carrier) Call(calls []coordinator.Call) []coordinator.Answered {
	if c.dead {
		panic(errDead)
	}
	w := c.w
	replies := make([]coordinator.Answered, len(calls))
	missing := len(calls)
	c.mayDie() // some of the calls leave, none is heard of
	for i := range calls {
		heard := false
		hear := func(a coordinator.Answered) {
			if heard {
				return
			}
			heard = true
			replies[i] = a
			if missing--; missing == 0 {
				w.after(0, c.resume)
			}
		}
		if c.dead && w.chance(2) {
			w.after(0, func() { hear(coordinator.Answered{Silent: true}) })
			continue
		}
		w.call(&calls[i], hear)
		w.after(patience, func() { hear(coordinator.Answered{Silent: true}) })
	}
	c.pause()
	return replies
}

// mayDie lets the coordinator die, some time after what it is about to do.
func (c *carrier) mayDie() {
	if c.mortal && !c.w.calm && c.w.chance(25) {
		c.dead = true
		c.w.stats.Coordinators++
	}
}

// await begins something and returns when that has told, which is true, or has taken too
// long.
func (c *carrier) await(begin func(told func())) (heard bool) {
	if c.dead {
		panic(errDead)
	}
	c.mayDie()
	ended := false
	end := func(told bool) func() {
		return func() {
			if !ended {
				ended, heard = true, told
				c.w.after(0, c.resume)
			}
		}
	}
	begin(end(true))
	c.w.after(patience, end(false))
	c.pause()
	return heard
}

// sleep passes a time.
func (c *carrier) sleep(d time.Duration) {
	c.w.after(d, c.resume)
	c.pause()
}

// sideBySide does several things of one coordinator at a time, and returns when all have
// ended. They die together.
func (c *carrier) sideBySide(n int, do func(i int, c *carrier)) {
	if c.dead {
		panic(errDead)
	}
	all := make([]*carrier, n)
	for i := range all {
		all[i] = &carrier{mortal: c.mortal, overAt: c.overAt}
		c.w.spawn(all[i], func() { do(i, all[i]) }, func(died bool) {
			if died {
				c.dead = true
				for _, other := range all {
					other.dead = true
				}
			}
			if n--; n == 0 {
				c.w.after(0, c.resume)
			}
		})
	}
	c.pause()
}

// patience is how long a call waits for its answer.
const patience = 1500 * time.Millisecond

// Later is part of coordinator.Carrier.
func (c *carrier) Later(call coordinator.Call) {
	w := c.w
	w.after(w.between(0, 200*time.Millisecond), func() { w.call(&call, func(coordinator.Answered) {}) })
}

// Wait is part of coordinator.Carrier.
func (c *carrier) Wait(turn int) {
	c.w.after(c.w.between(time.Millisecond, time.Duration(10+50*min(turn, 10))*time.Millisecond), c.resume)
	c.pause()
}

// Now is part of coordinator.Carrier.
func (c *carrier) Now() time.Time { return time.UnixMilli(epochMS).Add(c.w.now + c.skew) }

// Random is part of coordinator.Carrier.
func (c *carrier) Random() uint64 { return c.w.rng.Uint64() }

// Over is part of coordinator.Carrier.
func (c *carrier) Over() bool { return !c.patient && c.w.now >= c.overAt }

// call brings a call to a replica of its group, perhaps twice, and its answer back, perhaps
// not.
func (w *World) call(call *coordinator.Call, hear func(coordinator.Answered)) {
	copies := 1
	if !w.calm && w.chance(30) {
		w.stats.Doubled++
		copies = 2
	}
	for range copies {
		n := w.anyone(w.group(call.Group))
		w.after(w.delay(), func() {
			if !w.calm && w.chance(30) {
				w.stats.Dropped++
				return
			}
			if n.alive {
				n.soon(0, func() {
					n.serve(call, func(a coordinator.Answered) {
						if w.calm || !w.chance(30) {
							w.after(w.delay(), func() { hear(a) })
						}
					})
				})
			}
		})
	}
}

// serve is what a replica does for a call. When it does not lead, or the outcome is unknown,
// it says nothing of use, and the coordinator asks again.
func (n *node) serve(call *coordinator.Call, reply func(coordinator.Answered)) {
	switch {
	case call.Command != nil:
		n.put(call.Command, func(a answer) {
			reply(coordinator.Answered{Silent: a.kind != done, Result: a.result})
		})
	case call.Status != nil:
		n.status(call.Status, reply)
	default:
		n.read(func() {
			reply(coordinator.Answered{Seen: n.state.collect(n, call.Collect)})
		})
	}
}

// status answers for home. A verdict that only the clock gives must be true for good, so the
// group's clock is moved through its log first.
func (n *node) status(call *coordinator.StatusCall, reply func(coordinator.Answered)) {
	n.read(func() {
		if now := n.wallMS(); now > call.DeadlineMS && n.state.meta.NowMS <= call.DeadlineMS && n.w.cfg.Mutant != StatusByWallClock {
			n.put(&wire.Command{Kind: wire.Tick}, func(a answer) {
				if a.kind != done {
					reply(coordinator.Answered{Silent: true})
					return
				}
				n.status(call, reply)
			})
			return
		}
		reply(coordinator.Answered{Result: n.verdict(call)})
	})
}

// put proposes a command, stamped with the replica's clock.
func (n *node) put(cmd *wire.Command, reply func(answer)) {
	n.propose(cmd, reply)
	n.turn()
}

func (n *node) propose(cmd *wire.Command, reply func(answer)) replica.Token {
	stamped := *cmd
	n.stamp(&stamped)
	n.lastToken++
	n.waiters[n.lastToken] = reply
	n.core.Propose(n.lastToken, append(stamped.AppendHeader(nil), stamped.Entries.Raw()...))
	return n.lastToken
}

// stamp is what a leader adds to a command.
func (n *node) stamp(cmd *wire.Command) {
	cmd.NowMS, cmd.RetentionMS, cmd.MaxRows = n.wallMS(), retentionMS, 1<<20
}

const retentionMS = 600_000

// read calls serve when the state may be read.
func (n *node) read(serve func()) {
	if n.w.cfg.Mutant == ReadAtOnce {
		serve()
		return
	}
	n.lastToken++
	n.waiters[n.lastToken] = func(a answer) {
		if a.kind == done {
			serve()
		}
	}
	n.core.Read(n.lastToken)
	n.turn()
}

// answerEarly is what AnswerBeforeCommit does: whoever waits for an entry that the leader
// has logged is told that it is committed.
func (n *node) answerEarly() {
	for token := range n.lastToken {
		n.tell(token+1, answer{kind: done})
	}
}
