package group

import (
	"context"
	"math"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/apply"
	"github.com/sheafdb/sheaf/internal/wire"
)

// What follows is for batches and reads over several groups: this one's part of them.

// CollectRequest asks for what stands under keys in the newest state.
type CollectRequest struct {
	Keys [][]byte
	// Values are wanted too, beside the versions.
	Values bool
	// MaxBytes bounds the values.
	MaxBytes int
}

// Collect is one linearizable read with all that a reader of several groups must know. The
// values are counted as in flight; the caller gives the bytes back to the gate.
func (g *Group) Collect(ctx context.Context, req CollectRequest) (_ []apply.Seen, reserved int64, err error) {
	if err := g.Current(ctx); err != nil {
		return nil, 0, err
	}
	view := g.store.View()
	defer view.Close() //nolint:errcheck // reading is over
	counted, values := reservation{gate: g.cfg.Gate}, 0
	seen, err := apply.Collect(req.Keys, req.Values, g.timeOf(view.Meta()), view, func(bytes int) error {
		if values += bytes; values > req.MaxBytes {
			return sheaf.Errorf(sheaf.BatchTooLarge, "the answer is larger than %d bytes (limits.batch_bytes): ask for fewer keys", req.MaxBytes)
		}
		return counted.upTo(int64(values))
	})
	if err != nil {
		counted.release()
		return nil, 0, readError(err)
	}
	return seen, counted.bytes, nil
}

// Verdict asks this group, an attempt's home, what became of it. late: it is undecided although
// this node's clock is past the deadline. A Tick moves the group's there, unless its leader's
// clock is behind: a verdict that only a clock gives must be true for good.
func (g *Group) Verdict(ctx context.Context, holder wire.Holder) (_ apply.Result, late bool, err error) {
	if err := g.Current(ctx); err != nil {
		return apply.Result{}, false, err
	}
	view := g.store.View()
	defer view.Close() //nolint:errcheck // reading is over
	result, err := apply.Status(holder.RequestID, holder.Attempt, holder.DeadlineMS, holder.RetentionMS, view)
	return result, result.Outcome == apply.Undecided && g.nowMS() > holder.DeadlineMS, readError(err)
}

// Overdue returns what coordinators should have finished in this group by now, at most so
// many of each kind.
func (g *Group) Overdue(most int) (apply.Overdue, error) {
	view := g.store.View()
	defer view.Close() //nolint:errcheck // reading is over
	found, err := apply.FindOverdue(g.nowMS(), most, view)
	return found, readError(err)
}

// maxPrepared bounds what Prepared counts.
const maxPrepared = 1024

// Prepared counts the attempts that hold keys in this replica's state. Reservations of readers
// do not count.
func (g *Group) Prepared() int {
	view := g.store.View()
	defer view.Close() //nolint:errcheck // reading is over
	if view.Meta().Held == 0 {
		return 0
	}
	found, err := apply.FindOverdue(math.MaxUint64, maxPrepared, view)
	if err != nil { // who needs the state will be told
		return 0
	}
	return len(found.Attempts)
}

// Attempts returns the attempts that have prepared something in the newest state.
func (g *Group) Attempts(ctx context.Context) ([]wire.Holder, error) {
	if err := g.Current(ctx); err != nil {
		return nil, err
	}
	view := g.store.View()
	defer view.Close() //nolint:errcheck // reading is over
	if view.Meta().Held == 0 {
		return nil, nil
	}
	found, err := apply.FindOverdue(math.MaxUint64, math.MaxInt, view)
	return found.Attempts, readError(err)
}
