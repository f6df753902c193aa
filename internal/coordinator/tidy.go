package coordinator

import (
	"context"
	"slices"
	"time"

	"github.com/sheafdb/sheaf/internal/apply"
	"github.com/sheafdb/sheaf/internal/wire"
)

// MaxTidy bounds what one Tidy takes on, of each kind.
const MaxTidy = 64

// Tidy finishes what coordinators left behind in a group: attempts past their deadline,
// whose home is asked, and batches committed here that other groups may not have resolved.
// The group's leader does it now and then.
func Tidy(do Carrier, group uint64, groupOf func(key []byte) uint64, overdue apply.Overdue) {
	for _, attempt := range overdue.Attempts {
		if do.Over() {
			return
		}
		Help(do, groupOf, attempt, []uint64{group})
	}
	for _, batch := range overdue.Unfinished {
		if do.Over() {
			return
		}
		finish(do, group, groupOf, &batch)
	}
}

// finish tells all groups of a committed batch, and home when all have heard it.
func finish(do Carrier, home uint64, groupOf func(key []byte) uint64, batch *apply.Unfinished) {
	var groups []uint64
	for _, key := range batch.Keys {
		if group := groupOf(key); !slices.Contains(groups, group) {
			groups = append(groups, group)
		}
	}
	command := wire.Command{
		RequestID: batch.RequestID, Attempt: batch.Attempt, Version: batch.Version,
		DeadlineMS: batch.DeadlineMS, Commit: true,
	}
	resolve, done := command, command
	resolve.Kind, done.Kind = wire.Resolve, wire.Done
	var calls []Call
	for _, group := range groups {
		calls = append(calls, Call{Group: group, Command: &resolve})
	}
	for _, reply := range do.Call(calls) {
		if !reply.answer() {
			return
		}
	}
	do.Call([]Call{{Group: home, Command: &done}})
}

// tidyEvery is how often a group's leader looks for what was left behind, and tidyTime how
// long it may be at it.
const (
	tidyEvery = 500 * time.Millisecond
	tidyTime  = 5 * time.Second
)

// tidy does Tidy for a group while this node leads it.
func (c *Coordinator) tidy(id uint64, g Group) {
	ticker := time.NewTicker(tidyEvery)
	defer ticker.Stop()
	for {
		select {
		case <-c.life.Done():
			return
		case <-ticker.C:
		}
		if !g.Leads() {
			continue
		}
		overdue, err := g.Overdue(MaxTidy)
		if err != nil {
			c.cfg.Logger.Error("look for batches that were left behind", "group", id, "err", err)
			continue
		}
		ctx, cancel := context.WithTimeout(c.life, tidyTime)
		Tidy(&driver{c: c, caller: ctx, callTime: callTime}, id, c.table.GroupOf, overdue)
		cancel()
	}
}
