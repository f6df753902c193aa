package sim

import (
	"errors"
	"time"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/apply"
	"github.com/sheafdb/sheaf/internal/coordinator"
	"github.com/sheafdb/sheaf/internal/store"
	"github.com/sheafdb/sheaf/internal/wire"
)

// copied are images of all groups, and when their taking began.
type copied struct {
	began  time.Duration
	states []*state // by group
}

// takeImages has images of all groups taken, one after the other, by coordinators that may die
// at it as any.
func (w *World) takeImages() {
	if w.calm || len(w.groups) < 2 {
		return
	}
	here := &replicasHere{w: w, began: w.now, carrier: &carrier{mortal: true, overAt: w.now + 15*time.Second}}
	w.spawn(here.carrier, func() {
		if err := coordinator.TakeImages(here.carrier, len(w.groups), w.groupOf, here); err == nil {
			w.stats.Images++
			w.copies = append(w.copies, copied{here.began, here.states})
		}
	}, func(bool) { w.after(w.between(50*time.Millisecond, time.Second), w.takeImages) })
}

// replicasHere is a coordinator.Here: some replica of each group, not always the same.
type replicasHere struct {
	w       *World
	began   time.Duration
	carrier *carrier
	states  []*state
}

var errSilent = errors.New("the replica did not answer")

// read looks at a replica's state, when it has all that was acknowledged before. One that is
// down, or has no leader, does not answer; then another is asked.
func (h *replicasHere) read(g *group, look func(*state)) (err error) {
	for range 6 {
		if err = h.readOnce(g, look); err == nil {
			break
		}
	}
	return err
}

// readPatience is how long a replica may take to answer.
const readPatience = 250 * time.Millisecond

func (h *replicasHere) readOnce(g *group, look func(*state)) error {
	n, heard, served := h.w.anyone(g), false, false
	hear := func(ok bool) {
		if !heard {
			heard, served = true, ok
			h.w.after(0, h.carrier.resume)
		}
	}
	if n.alive {
		n.soon(0, func() {
			n.read(func() {
				if !heard {
					look(n.state)
					hear(true)
				}
			})
		})
	}
	h.w.after(readPatience, func() { hear(false) })
	h.carrier.pause()
	if !served {
		return errSilent
	}
	return nil
}

// Attempts is part of coordinator.Here.
func (h *replicasHere) Attempts() ([][]wire.Holder, error) {
	all := make([][]wire.Holder, len(h.w.groups))
	for i, g := range h.w.groups {
		err := h.read(g, func(s *state) {
			found, err := apply.FindOverdue(1<<63, 1<<30, s)
			if err != nil {
				h.w.fail("group %d looks for attempts: %v", i+1, err)
			}
			all[i] = found.Attempts
		})
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// Open is part of coordinator.Here.
func (h *replicasHere) Open() error { return nil }

// Take is part of coordinator.Here. Some time passes from image to image.
func (h *replicasHere) Take() ([]coordinator.Shown, error) {
	shown := make([]coordinator.Shown, len(h.w.groups))
	h.states = make([]*state, len(h.w.groups))
	for _, i := range h.w.rng.Perm(len(h.w.groups)) {
		err := h.read(h.w.groups[i], func(s *state) {
			h.states[i] = s.clone()
			shown[i].Attempts = len(s.spaces[store.Attempts])
			var err error
			if shown[i].Paused, err = wire.DecodePaused([]byte(s.spaces[store.Own][string(apply.PauseKey)])); err != nil {
				h.w.fail("group %d: %v", i+1, err)
			}
		})
		if err != nil {
			return nil, err
		}
		if h.w.chance(4) {
			h.carrier.Wait(h.w.rng.IntN(20))
		}
	}
	return shown, nil
}

// checkCopy says whether images have a batch whole or not at all, unless it was written group by
// group, and have one that was acknowledged before they were begun.
func (w *World) checkCopy(c *copied, op *operation) {
	wants, found := 0, 0
	for _, g := range w.groups {
		has := false
		for i, key := range keysOf(op.set) {
			has = has || op.writes[i] != leave && w.groupOf(key) == g.id
		}
		if !has {
			continue
		}
		wants++
		data, ok := c.states[g.id-1].spaces[store.Rows][op.command.RequestID]
		if !ok {
			continue
		}
		row, err := wire.DecodeRow([]byte(data))
		if err != nil {
			w.fail("%s: its row in a copy: %v", op, err)
		}
		if row.Committed() {
			found++
		}
	}
	switch {
	case op.level == sheaf.Linearizable && found != 0 && found != wants:
		w.fail("%s: the copy begun at %v has it in %d of %d groups", op, c.began, found, wants)
	case found == 0 && op.outcome == committed && op.ended <= c.began && op.ended > c.began-retentionMS*time.Millisecond/2:
		w.fail("%s: was acknowledged, and the copy begun at %v does not have it", op, c.began)
	}
}
