package sim

import (
	"context"
	"slices"
	"time"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/apply"
	"github.com/sheafdb/sheaf/internal/coordinator"
	"github.com/sheafdb/sheaf/internal/wire"
)

// door is what of a node takes EVENTUAL batches: a queue in memory, which a crash loses. Its
// goroutines are coroutines; what is decided is coordinator.Accepted's and ProposeRound's. It
// crashes by itself, whatever the replicas beside it do.
type door struct {
	w     *World
	alive bool
	life  *life

	accepted coordinator.Accepted
	logging  bool     // one is not in the log yet
	waiting  []func() // who is told when a round has ended
	inside   []*carrier
}

// life is one run of a door, and what it has accepted.
type life struct {
	crashed bool
	took    []taken
}

type taken struct {
	op *operation
	at time.Duration
}

const (
	doors         = 3
	queueBytes    = 400
	window        = 20 * time.Millisecond
	retryAccepted = 20 * time.Millisecond
)

func (w *World) addDoor() {
	d := &door{w: w}
	w.doors = append(w.doors, d)
	d.start()
}

func (d *door) start() {
	d.alive, d.life = true, &life{}
	d.w.lives = append(d.w.lives, d.life)
	d.accepted = coordinator.Accepted{Bytes: queueBytes, Window: window}
	d.logging, d.waiting, d.inside = false, nil, nil
}

func (d *door) crash() {
	if !d.alive {
		return
	}
	d.w.stats.Crashes++
	d.alive, d.life.crashed = false, true
	for _, c := range d.inside {
		c.dead = true
	}
	d.w.after(d.w.between(20*time.Millisecond, 3*time.Second), func() {
		if !d.alive {
			d.start()
		}
	})
}

// enter makes a coordinator part of the process.
func (d *door) enter(c *carrier) bool {
	d.inside = slices.DeleteFunc(d.inside, func(c *carrier) bool { return c.over })
	if d.alive {
		d.inside = append(d.inside, c)
	}
	return d.alive
}

// took notes what was accepted, and proposes it.
func (d *door) took(op *operation) {
	d.life.took = append(d.life.took, taken{op, d.w.now})
	d.pump()
}

// pump proposes what waits as the next round, once the one before is logged.
func (d *door) pump() {
	if !d.alive || d.logging {
		return
	}
	round := d.accepted.Take()
	if round == nil {
		return
	}
	d.logging = true
	wait, during := time.Duration(0), d.life
	if round.Again {
		wait = retryAccepted
	}
	d.w.after(wait, func() {
		if d.life == during && d.alive {
			d.propose(round)
		}
	})
}

// propose writes a round, each group's share by itself. The next may begin when all of it is
// logged.
func (d *door) propose(round *coordinator.Round) {
	missing, running := 0, 0
	logged := func() {
		if missing--; missing == 0 {
			d.accepted.Logged(round)
			d.logging = false
			d.pump()
		}
	}
	for _, g := range d.w.groups {
		var parts []coordinator.Share
		for _, share := range round.Shares {
			if share.Group == g.id {
				parts = append(parts, share)
			}
		}
		if len(parts) == 0 {
			continue
		}
		missing++
		running++
		heard := false
		once := func() {
			if !heard {
				heard = true
				logged()
			}
		}
		carry := &carrier{patient: true}
		d.enter(carry)
		d.w.spawn(carry, func() {
			d.proposeTo(carry, g, parts, once)
			once()
			if running--; running == 0 {
				d.accepted.Ended(round)
				waiting := d.waiting
				d.waiting = nil
				for _, told := range waiting {
					told()
				}
			}
		}, func(bool) {})
	}
}

func (d *door) proposeTo(carry *carrier, g *group, parts []coordinator.Share, logged func()) {
	once := d.w.cfg.Mutant == LoseRound
	results, err := coordinator.ProposeRound(context.Background(), toLeader{carry, g, logged}, parts, nil, func() bool {
		carry.sleep(retryAccepted)
		return !once
	})
	if once {
		return
	}
	if err != nil {
		d.w.fail("accepted batches were lost: %v", err)
		return
	}
	var again []coordinator.Share
	for i, result := range results {
		switch {
		case coordinator.RefusedForNow(result):
			again = append(again, parts[i])
		case result.Refused != nil:
			d.w.fail("an accepted batch was refused: %v", result.Refused)
		}
	}
	coordinator.HelpAll(carry, d.w.groupOf, coordinator.InTheWay(parts, results))
	if len(again) > 0 {
		d.w.stats.PutBack += len(again)
		d.accepted.PutBack(again)
		d.pump()
	}
}

// toLeader takes rounds to the leader of a group.
type toLeader struct {
	c      *carrier
	g      *group
	logged func()
}

// ProposeAll is part of coordinator.Proposer. Where the node itself leads, it hears when the
// commands are committed, which is before they are applied.
func (t toLeader) ProposeAll(_ context.Context, cmds []*wire.Command, _ chan<- struct{}) (results []apply.Result, err error) {
	w := t.c.w
	n, near := w.anyone(t.g), w.chance(2)
	there, back := w.delay(), w.delay()
	lostThere, lostBack := !w.calm && w.chance(30), !w.calm && w.chance(30)
	committed := func() {}
	if near {
		there, back, lostThere, lostBack, committed = 0, 0, false, false, t.logged
	}
	heard := t.c.await(func(told func()) {
		w.after(there, func() {
			if lostThere || !n.alive {
				return
			}
			n.soon(0, func() {
				n.putAll(cmds, committed, func(all []apply.Result, failed bool) {
					if lostBack {
						return
					}
					w.after(back, func() {
						if results = all; failed {
							err = &sheaf.Error{Code: sheaf.OutcomeUnknown}
						}
						told()
					})
				})
			})
		})
	})
	if !heard {
		return nil, &sheaf.Error{Code: sheaf.OutcomeUnknown}
	}
	return results, err
}

// putAll proposes commands in one go, and answers when all have ended.
func (n *node) putAll(cmds []*wire.Command, committed func(), reply func(results []apply.Result, failed bool)) {
	results := make([]apply.Result, len(cmds))
	missing, uncommitted, failed := len(cmds), len(cmds), false
	for i, cmd := range cmds {
		token := n.propose(cmd, func(a answer) {
			results[i] = a.result
			failed = failed || a.kind != done
			if missing--; missing == 0 {
				reply(results, failed)
			}
		})
		n.commits[token] = func() {
			if uncommitted--; uncommitted == 0 {
				committed()
			}
		}
	}
	n.turn()
}
