package coordinator

import (
	"slices"

	"github.com/sheafdb/sheaf/internal/apply"
	"github.com/sheafdb/sheaf/internal/wire"
)

// maxTidy bounds what one Tidy takes on.
const maxTidy = 64

// Tidy finishes what coordinators left behind in a group: attempts past their deadline,
// whose home is asked, and batches committed here that other groups may not have resolved.
// The group's leader calls it now and then. The state is read before the first call.
func Tidy(do Carrier, group uint64, groupOf func(key []byte) uint64, nowMS uint64, state apply.State) error {
	overdue, err := apply.FindOverdue(nowMS, maxTidy, state)
	if err != nil {
		return err
	}
	for _, attempt := range overdue.Attempts {
		if do.Over() {
			return nil
		}
		Help(do, groupOf, attempt, []uint64{group})
	}
	for _, batch := range overdue.Unfinished {
		if do.Over() {
			return nil
		}
		finish(do, group, groupOf, &batch)
	}
	return nil
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
		if reply.Silent {
			return
		}
	}
	do.Call([]Call{{Group: home, Command: &done}})
}
