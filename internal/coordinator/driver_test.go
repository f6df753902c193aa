package coordinator

import (
	"context"
	"testing"
	"time"

	"github.com/sheafdb/sheaf/internal/apply"
	"github.com/sheafdb/sheaf/internal/group"
	"github.com/sheafdb/sheaf/internal/wire"
)

// slowClock is a home whose leader's clock is behind that of who asks.
type slowClock struct {
	Group
	verdict apply.Result
	ticks   int
}

func (g *slowClock) Verdict(ctx context.Context, _ wire.Holder) (apply.Result, bool, error) {
	return g.verdict, g.verdict.Outcome == apply.Undecided, ctx.Err()
}

func (g *slowClock) Propose(_ context.Context, cmd *wire.Command) (apply.Result, group.Timing, error) {
	if cmd.Kind == wire.Tick {
		g.ticks++
	}
	return apply.Result{}, group.Timing{}, nil
}

// TestAHomeWithASlowClockIsAskedForOneTick: each is an entry of its log.
func TestAHomeWithASlowClockIsAskedForOneTick(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	home := &slowClock{verdict: apply.Result{Outcome: apply.Undecided}}
	answer, err := (&driver{}).status(ctx, home, &StatusCall{RequestID: "r", Attempt: 1})
	if err != nil || answer.Result.Outcome != apply.Undecided || home.ticks != 1 {
		t.Errorf("%+v, %v, after %d Ticks; want undecided after one", answer.Result, err, home.ticks)
	}
	home = &slowClock{verdict: apply.Result{Outcome: apply.Committed}}
	if answer, err := (&driver{}).status(ctx, home, &StatusCall{}); err != nil || answer.Result.Outcome != apply.Committed || home.ticks != 0 {
		t.Errorf("%+v, %v, after %d Ticks; want committed", answer.Result, err, home.ticks)
	}
}
