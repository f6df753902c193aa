package cluster

import (
	"testing"

	"github.com/sheafdb/sheaf"
)

// TestAnAttemptThatMayHaveBeenDoneIsNotDenied: a node that leads and fails answers the first
// attempt with OUTCOME_UNKNOWN and the next with DRAINING, and the batch may be in the others'
// logs.
func TestAnAttemptThatMayHaveBeenDoneIsNotDenied(t *testing.T) {
	for _, row := range sheaf.Table {
		last := &sheaf.Error{Code: row.Code}
		want := row.Code
		if row.Outcome == sheaf.CallDidNothing {
			want = sheaf.OutcomeUnknown
		}
		if got := sheaf.CodeOf(ended(last, true)); got != want {
			t.Errorf("after an attempt that may have been done, %s is answered as %s, want %s", row.Code, got, want)
		}
		if got := sheaf.CodeOf(ended(last, false)); got != row.Code {
			t.Errorf("when none may have been done, %s is answered as %s", row.Code, got)
		}
	}
}
