package client

import "github.com/sheafdb/sheaf"

// state is what is known of a write's earlier attempts.
type state uint8

const (
	// certain: no attempt so far can have been applied.
	certain state = iota
	// unsure: at least one attempt may have been applied, or may yet be, and
	// no answer has told.
	unsure
)

// step is one row of the retry state machine: what a failed attempt means for
// the whole call.
type step struct {
	from    state
	outcome sheaf.Outcome // what the error's row says of this attempt
	to      state
	// hide: when the call ends with this error, the truth about the batch is
	// OUTCOME_UNKNOWN and the error is only its cause.
	hide bool
}

// steps is the retry state machine. Whether the same bytes are sent again is
// not in it: that is the Retry column of sheaf.Table, see sendAgain.
var steps = []step{
	{certain, sheaf.NotApplied, certain, false},
	// The answer is about the request ID, which the server looks up before it
	// checks conditions: no earlier attempt was applied either.
	{unsure, sheaf.NotApplied, certain, false},

	{certain, sheaf.CallDidNothing, certain, false},
	// The refusal says nothing of the earlier attempt.
	{unsure, sheaf.CallDidNothing, unsure, true},

	{certain, sheaf.Unknown, unsure, false},
	{unsure, sheaf.Unknown, unsure, false},
}

// after returns the step for an error with this code.
func (s state) after(code sheaf.Code) step {
	row, _ := code.Row() // a code from a newer server counts as INTERNAL: unknown
	outcome := row.Outcome
	if code == sheaf.RequestIDReused {
		// "This call did nothing", but more is known: had an earlier attempt
		// been applied, the ID would be bound to this very batch.
		outcome = sheaf.NotApplied
	}
	switch code {
	case sheaf.RequestIDRequired, sheaf.InvalidBatch, sheaf.BatchTooLarge, sheaf.ETagRequired:
		if s == unsure {
			// The shape is checked before the request ID is looked up: a node
			// that was restarted with other limits refuses what it has applied.
			outcome = sheaf.CallDidNothing
		}
	}
	for _, st := range steps {
		if st.from == s && st.outcome == outcome {
			return st
		}
	}
	// Only AppliedBefore is missing, and that is never an error's outcome.
	return step{from: s, outcome: outcome, to: unsure, hide: true}
}

// sendAgain reports whether the identical call may be sent again by itself.
// NO_SPACE may too, but only when somebody has freed some: that is for people.
func sendAgain(code sheaf.Code) bool {
	row, known := code.Row()
	return known && (row.Retry == sheaf.RetrySameID || row.Retry == sheaf.RetryElsewhere)
}
