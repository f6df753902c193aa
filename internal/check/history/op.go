package history

import (
	"fmt"
	"math"
	"strings"

	"github.com/sheafdb/sheaf"
)

// Forever is the end of an operation that has none.
const Forever = math.MaxInt64

// Attempt is one call and its return.
type Attempt struct {
	Op      uint64
	Node    string
	StartNS int64
	EndNS   int64 // Forever when it did not return
	Return        // zero when it did not return
}

// Op is one operation: a read, or one batch with all calls that carried its request ID.
type Op struct {
	*Call
	// Number is that of the first call.
	Number uint64
	Level  sheaf.Consistency
	// StartNS is when the first call was made. EndNS is when it was known that the
	// operation had happened, or that it never would; Forever if that is unknown.
	StartNS, EndNS int64
	// Outcome is OK, NotApplied or Unknown.
	Outcome  Outcome
	Attempts []Attempt
	// Answer is that of the first attempt that succeeded or, if none did, of the one
	// that settled it.
	Answer Return
}

// IsWrite reports whether the operation is a batch.
func (o *Op) IsWrite() bool { return o.Writes != nil }

// Refused reports whether a condition did not hold.
func (o *Op) Refused() bool {
	return o.Outcome == NotApplied && (o.Answer.Code == sheaf.ETagMismatch || o.Answer.Code == sheaf.VersionMismatch)
}

// Index is the place of a key in the operation, or -1.
func (o *Op) Index(key string) int {
	for i, k := range o.Keys {
		if k == key {
			return i
		}
	}
	return -1
}

// conclude says what is known after all attempts. A read that failed did nothing, whatever
// became of it.
func (o *Op) conclude() {
	o.Outcome, o.StartNS, o.EndNS = NotApplied, Forever, Forever
	unknown, settled := false, false
	for i := range o.Attempts {
		a := &o.Attempts[i]
		o.StartNS = min(o.StartNS, a.StartNS)
		switch {
		case a.Outcome == OK:
			if o.Outcome != OK || a.EndNS < o.EndNS {
				o.Outcome, o.EndNS, o.Answer = OK, a.EndNS, a.Return
			}
		case o.Outcome == OK || settled:
		case a.decisive():
			settled, o.EndNS, o.Answer = true, a.EndNS, a.Return
		case a.Outcome == Unknown || a.Outcome == "":
			unknown, o.Answer = true, a.Return
		case !unknown:
			o.Answer = a.Return
		}
	}
	switch {
	case o.Outcome == OK || settled:
	case unknown && o.IsWrite():
		o.Outcome = Unknown
	default:
		o.EndNS = o.Attempts[len(o.Attempts)-1].EndNS
	}
}

// decisive reports whether an attempt says that no other attempt at the batch was or will be
// applied. A refusal of its shape does not: shape is looked at before the request ID is.
func (a *Attempt) decisive() bool {
	switch a.Code {
	case sheaf.RequestIDRequired, sheaf.InvalidBatch, sheaf.BatchTooLarge, sheaf.ETagRequired:
		return false
	}
	return a.Outcome == NotApplied
}

// String is the operation in one line.
func (o *Op) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "op %-6d client %d process %d at %s, %s to %s: ", o.Number, o.Client, o.Process, o.Node, seconds(o.StartNS), seconds(o.EndNS))
	verb := "read"
	if o.IsWrite() {
		verb = "write"
	}
	if o.Final {
		verb = "last " + verb
	}
	fmt.Fprintf(&b, "%s %s", o.Level, verb)
	for i, key := range o.shown() {
		switch {
		case o.IsWrite():
			fmt.Fprintf(&b, " %s=%s", key, text(o.Writes[i]))
		case o.Outcome == OK:
			fmt.Fprintf(&b, " %s=%s", key, text(o.Answer.Values[i]))
			if v := o.Answer.Versions[i]; v != 0 {
				fmt.Fprintf(&b, "@%d", v)
			}
		default:
			fmt.Fprintf(&b, " %s", key)
		}
	}
	if more := len(o.Keys) - mostKeys; more > 0 {
		fmt.Fprintf(&b, " and %d more keys", more)
	}
	if o.Condition != "" {
		fmt.Fprintf(&b, " if %s says", o.Condition)
		for i, key := range o.shown() {
			fmt.Fprintf(&b, " %s=%s", key, text(o.Expect[i]))
		}
	}
	if o.After != 0 {
		fmt.Fprintf(&b, " after %d", o.After)
	}
	fmt.Fprintf(&b, " -> %s", o.Outcome)
	switch {
	case o.Answer.Accepted:
		b.WriteString(" (accepted)")
	case o.Outcome == OK && o.IsWrite():
		fmt.Fprintf(&b, " version %d", o.Answer.Version)
	case o.Answer.Code != "":
		fmt.Fprintf(&b, " (%s)", o.Answer.Code)
	}
	if len(o.Attempts) > 1 {
		fmt.Fprintf(&b, " in %d attempts", len(o.Attempts))
	}
	return b.String()
}

func seconds(ns int64) string {
	if ns == Forever {
		return "…"
	}
	return fmt.Sprintf("%.6fs", float64(ns)/1e9)
}

// mostKeys is how many keys of an operation are shown.
const mostKeys = 10

func (o *Op) shown() []string { return o.Keys[:min(len(o.Keys), mostKeys)] }

// Of a long value the beginning and the end are shown: lists differ at the end.
const (
	shownFirst = 16
	shownLast  = 32
)

func text(value *string) string {
	if value == nil {
		return "-"
	}
	v := *value
	if len(v) > shownFirst+shownLast {
		v = v[:shownFirst] + "…" + v[len(v)-shownLast:]
	}
	return fmt.Sprintf("%q", v)
}
