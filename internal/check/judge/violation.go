package judge

import (
	"fmt"
	"slices"

	"github.com/sheafdb/sheaf/internal/check/history"
)

// Reason names what kind of promise is violated.
type Reason string

// The reasons.
const (
	// A value was read that no batch of the trial has written.
	UnwrittenValue Reason = "unwritten value"
	// A batch was seen whose caller had been told that it is not applied.
	RefusedSeen Reason = "refused batch seen"
	// A value was read before its batch was sent.
	FromTheFuture Reason = "value from the future"
	// A reader saw a part of a batch and not the rest.
	HalfBatch Reason = "half a batch"
	// A batch has two versions, or two answers that say that it was applied just now.
	AppliedTwice Reason = "applied twice"
	// A key had two values with one version.
	VersionReused Reason = "version given twice"
	// A write got a version that is not larger than what had been answered before it began.
	VersionFalls Reason = "version falls"
	// A current read is older than what had been answered before it began.
	StaleRead Reason = "stale read"
	// An acknowledged batch is gone, and stays away.
	LostWrite Reason = "lost write"
	// Two answers to one request ID cannot both be true.
	AnswerChanged Reason = "answer changed"
	// A session saw less than it had seen.
	SessionBack Reason = "session went back"
	// A read is older than the version that it was asked to come after.
	AfterIgnored Reason = "older than after"
	// A batch was written although its condition did not hold.
	ConditionIgnored Reason = "condition did not hold"
	// No order of the operations agrees with what clients saw and when.
	NoOrder Reason = "no order"
	// The accounts do not have what was paid in.
	WrongSum Reason = "wrong sum"
	// An account has less than nothing.
	Overdrawn Reason = "overdrawn"
	// Keys that are always written together have two stamps.
	TwoStamps Reason = "two stamps"
	// Of two lists neither continues the other.
	ListForks Reason = "list forks"
	// The nodes do not have the same when all is quiet.
	Divergence Reason = "divergence"
	// A batch accepted at EVENTUAL is gone and nobody killed a node.
	LostAccepted Reason = "lost accepted batch"
	// A batch that was applied never came to one who follows its keys, and a later one did.
	NeverCame Reason = "batch never came"
	// A batch came to a follower twice.
	CameTwice Reason = "batch came twice"
	// A batch came to a follower without some of its keys.
	HalfCame Reason = "half a batch came"
	// A batch came with another version than it has, or with what it did not write.
	AlteredCame Reason = "batch came altered"
	// A batch came whose caller had been told that it is not applied.
	RefusedCame Reason = "refused batch came"
	// A change came that no batch of the trial has made.
	UnwrittenCame Reason = "unwritten change came"
	// What came of a key is older than what had come of it before.
	WatchFalls Reason = "watch went back"
	// A change came that the picture before it had already.
	PictureRepeats Reason = "change is in the picture"
	// A picture shows what cannot be there.
	WrongPicture Reason = "wrong picture"
	// A node says of itself that it is defect, or answers what cannot be.
	Defect Reason = "defect"
)

// Cycles, named as Adya did; with Realtime behind them when time is needed to close them.
const (
	G0      Reason = "G0"
	G1c     Reason = "G1c"
	GSingle Reason = "G-single"
	G2      Reason = "G2"

	realtimeSuffix = "-realtime"
)

// Violation is one promise that was not kept.
type Violation struct {
	Reason Reason
	Trial  string
	// Text says it in a sentence.
	Text string
	// Ops and Seen are all that it takes to see it.
	Ops  []*history.Op
	Seen []*history.Seen
}

func (v *Violation) size() int { return len(v.Ops) + len(v.Seen) }

// String is the violation in one line.
func (v *Violation) String() string { return fmt.Sprintf("%s in %s: %s", v.Reason, v.Trial, v.Text) }

// mostOfAKind is how many violations of one reason are kept of one trial: what follows a
// first wrong answer is mostly its consequence.
const mostOfAKind = 3

func (t *trial) violated(reason Reason, ops []*history.Op, format string, args ...any) (kept bool) {
	same := 0
	for i := range t.violations {
		if t.violations[i].Reason == reason {
			same++
		}
	}
	if same >= mostOfAKind {
		return false
	}
	ops = slices.Clone(ops)
	slices.SortFunc(ops, func(a, b *history.Op) int { return int(a.Number) - int(b.Number) })
	t.violations = append(t.violations, Violation{Reason: reason, Trial: t.Trial.Open.Trial, Text: fmt.Sprintf(format, args...), Ops: slices.Compact(ops)})
	return true
}

func these(ops ...*history.Op) []*history.Op {
	return slices.DeleteFunc(ops, func(op *history.Op) bool { return op == nil })
}
