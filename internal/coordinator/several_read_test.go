package coordinator

import (
	"testing"
	"time"

	"github.com/sheafdb/sheaf/internal/apply"
	"github.com/sheafdb/sheaf/internal/wire"
)

// undecided is a carrier to groups in which an attempt holds the key, and whose home is asked
// so often before it commits.
type undecided struct {
	asks, turns int
}

func (u *undecided) Call(calls []Call) []Answered {
	answers := make([]Answered, len(calls))
	for i, call := range calls {
		switch {
		case call.Collect != nil:
			answers[i].Seen = []apply.Seen{{Version: 3, Live: true, Value: []byte("old"), Intent: &apply.Intent{
				Holder: wire.Holder{RequestID: "r", Attempt: 1, HomeKey: []byte("k")}, LowerBound: 5, Live: true, Value: []byte("new"),
			}}}
		case call.Status != nil && u.asks > 0:
			u.asks--
			answers[i].Result = apply.Result{Outcome: apply.Undecided}
		case call.Status != nil:
			answers[i].Result = apply.Result{Outcome: apply.Committed, Version: 6, Attempt: 1}
		}
	}
	return answers
}

func (*undecided) Later(Call) {}

func (u *undecided) Wait(int)       { u.turns++ }
func (u *undecided) Now() time.Time { return time.UnixMilli(1) }
func (u *undecided) Random() uint64 { return 1 }
func (u *undecided) Over() bool     { return false }

// TestASessionWaitsForWhatMayComeBeforeItsVersion: what is undecided may be committed at its
// lower bound, and was then there before the version that the session has seen.
func TestASessionWaitsForWhatMayComeBeforeItsVersion(t *testing.T) {
	for _, c := range []struct {
		after       uint64
		want        string
		wantVersion uint64
		wantTurns   int
	}{
		{after: 0, want: "old", wantVersion: 3},
		{after: 4, want: "old", wantVersion: 3},
		{after: 5, want: "new", wantVersion: 6, wantTurns: 3},
		{after: 9, want: "new", wantVersion: 6, wantTurns: 3},
	} {
		do := &undecided{asks: 3}
		s := &Snapshot{Keys: [][]byte{[]byte("k")}, GroupOf: func([]byte) uint64 { return 1 }, After: c.after}
		values, err := s.Run(do)
		if err != nil || string(values[0].Value) != c.want || values[0].Version != c.wantVersion || do.turns != c.wantTurns {
			t.Errorf("after %d: %q at %d after %d turns, %v; want %q at %d after %d", c.after, values[0].Value, values[0].Version, do.turns, err, c.want, c.wantVersion, c.wantTurns)
		}
	}
}
