package coordinator

import (
	"time"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/apply"
	"github.com/sheafdb/sheaf/internal/wire"
)

// Carrier does for a batch over several groups what is not a decision: it brings calls to
// groups and answers back, waits, and knows the time. What is decided is in Batch and
// GetAll, which therefore run in a simulator as they run in a node.
type Carrier interface {
	// Call makes calls side by side and returns what came of each, in their order. A
	// call that is not answered in time has the answer Silent.
	Call(calls []Call) []Answered
	// Later makes a call of which nobody waits for the end, some time or, when there are too
	// many or the process ends, not at all.
	Later(call Call)
	// Wait passes a while: longer with every turn, and of no fixed length.
	Wait(turn int)
	// Now is the wall clock.
	Now() time.Time
	// Random is different every time, on every node.
	Random() uint64
	// Over says that nobody waits for the answer any more.
	Over() bool
}

// Call is one thing asked of one group: exactly one field beside Group is set.
type Call struct {
	Group   uint64
	Command *wire.Command
	Status  *StatusCall
	Collect *CollectCall
}

// StatusCall asks an attempt's home for its verdict. A group whose leader's clock is past
// the deadline, while its own is not, applies a Tick first.
type StatusCall struct {
	RequestID                        string
	Attempt, DeadlineMS, RetentionMS uint64
}

// CollectCall is one linearizable read.
type CollectCall struct {
	Keys [][]byte
	// Values are wanted too, beside the versions.
	Values bool
}

// Answered is what came of a call.
type Answered struct {
	// Silent: the call may have been done or not, or may still be.
	Silent bool
	// Refused is set when a node did not take the call, because it is full or about to
	// end: this call did nothing, which says nothing of those before it.
	Refused *sheaf.Error
	Result  apply.Result // of a command or a Status
	Seen    []apply.Seen // of a Collect
}

// answer says whether there is one.
func (a *Answered) answer() bool { return !a.Silent && a.Refused == nil }
