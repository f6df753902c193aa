package client

import (
	"slices"

	"github.com/sheafdb/sheaf"
)

// machine is the retry state machine, whole: what follows each way in which an attempt of a
// call can end. docs/client.md draws it, and TestTheDocumentDrawsTheMachine holds the two
// together.
//
// Three rules stand behind the rows. What is sent again is the same bytes with the same request
// ID, so that however many attempts arrive, one is applied. When another endpoint may do what
// this one could not, it is tried first. And a write whose outcome is unknown is never told as
// anything else: once an attempt may have been applied (unsure), a refusal that says nothing of
// it is only the cause of an OUTCOME_UNKNOWN.
var machine = []rule{
	{
		ends: "applied, or applied before (`replayed`)",
		then: done,
	},
	{
		ends:  "a condition does not hold (412)",
		codes: []sheaf.Code{sheaf.ETagMismatch, sheaf.VersionMismatch},
		// The server looks up the request ID before it checks conditions, so the answer is of all
		// attempts: none was applied.
		then: reread, says: notApplied,
	},
	{
		ends:  "the outcome is unknown: connection lost, timed out, no answer",
		codes: []sheaf.Code{sheaf.OutcomeUnknown},
		then:  repeat, elsewhere: true, says: mayBeApplied,
	},
	{
		ends:  "unavailable: cannot connect, not begun in time, no leader, draining, replica is behind",
		codes: []sheaf.Code{sheaf.NotProposed, sheaf.NotLeader, sheaf.Draining, sheaf.StaleReplica},
		then:  repeat, elsewhere: true, says: nothing,
	},
	{
		ends:  "throttled, or other batches hold the keys",
		codes: []sheaf.Code{sheaf.RateLimited, sheaf.Contention},
		// Another node has the same limit, or asks the same group: what helps is to wait.
		then: repeat, says: nothing,
	},
	{
		ends:  "the disk is full",
		codes: []sheaf.Code{sheaf.NoSpace},
		// It may be sent again only when somebody has freed some: that is for people. The
		// next call goes elsewhere.
		then: surface, elsewhere: true, says: nothing,
	},
	{
		ends: "malformed, too large, or without an ETag that is required",
		// These are checked before the request ID is looked up: a node that was restarted with
		// other limits refuses what it has applied.
		codes: []sheaf.Code{sheaf.InvalidBatch, sheaf.BatchTooLarge, sheaf.ETagRequired, sheaf.RequestIDRequired},
		then:  surface, says: nothing,
	},
	{
		ends: "the request ID is another batch's, or the media type is unknown",
		// Had an earlier attempt been applied, the ID would be bound to this very batch.
		codes: []sheaf.Code{sheaf.RequestIDReused, sheaf.UnsupportedMediaType},
		then:  surface, says: notApplied,
	},
	{
		ends: "the caller may not, or there is no such thing",
		codes: []sheaf.Code{
			sheaf.Unauthenticated, sheaf.PermissionDenied, sheaf.NotFound, sheaf.MethodNotAllowed, sheaf.Compacted,
		},
		then: surface, says: nothing,
	},
	{
		// A code of a newer server counts as INTERNAL.
		ends:  "the request ID is too old, a defect, damaged data",
		codes: []sheaf.Code{sheaf.RequestIDExpired, sheaf.Internal, sheaf.Corruption},
		then:  surface, says: mayBeApplied,
	},
}

// rule is one row of the machine.
type rule struct {
	// ends says in words how the attempt ended.
	ends  string
	codes []sheaf.Code
	then  move
	// elsewhere: another endpoint may do what this one could not, so it is the first that the
	// next attempt, or the next call, goes to.
	elsewhere bool
	says      says
}

// move is what follows an attempt.
type move uint8

const (
	// done: the call succeeds, and its ETag and version are kept.
	done move = iota
	// surface: the call ends with the error.
	surface
	// reread: the same, and OnConflict reads again, merges, and writes with a new request ID.
	reread
	// repeat: the identical call is sent again, after a wait.
	repeat
)

// says is what the end of one attempt tells of the batch.
type says uint8

const (
	// nothing: this attempt did nothing, and of earlier ones it does not tell.
	nothing says = iota
	// notApplied: no attempt so far was applied, nor will be.
	notApplied
	// mayBeApplied: this attempt may have been applied, or may yet be.
	mayBeApplied
)

// state is what is known of a write's earlier attempts.
type state uint8

const (
	// certain: no attempt so far can have been applied.
	certain state = iota
	// unsure: at least one attempt may have been applied, or may yet be, and
	// no answer has told.
	unsure
)

// step is what a failed attempt means for the whole call.
type step struct {
	to state
	// hide: when the call ends with this error, the truth about the batch is
	// OUTCOME_UNKNOWN and the error is only its cause.
	hide bool
}

// ruleOf returns the row for an error with this code.
func ruleOf(code sheaf.Code) *rule {
	for i := range machine {
		if slices.Contains(machine[i].codes, code) {
			return &machine[i]
		}
	}
	return ruleOf(sheaf.Internal)
}

// after returns the step for an error with this code.
func (s state) after(code sheaf.Code) step {
	switch ruleOf(code).says {
	case notApplied:
		return step{to: certain}
	case mayBeApplied:
		return step{to: unsure}
	}
	return step{to: s, hide: s == unsure}
}

// sendAgain reports whether the identical call may be sent again by itself.
func sendAgain(code sheaf.Code) bool { return ruleOf(code).then == repeat }

// elsewhere says whether another node may do what this one could not.
func elsewhere(code sheaf.Code) bool { return ruleOf(code).elsewhere }
