// Package history is what a run of sheafcheck writes down, and how it is read again.
//
// A history is a file of JSON lines. A call has a line that is on disk before the call is
// made, and a line of its return. So whatever a server has done, the history knows that it
// was asked to, however the checker ended; a call without a return is one whose outcome is
// unknown. All times are of one monotonic clock, in nanoseconds since the run began.
//
// Who follows keys instead of reading them has a line for each thing that came, in its order,
// written after it has come: what is missing at the end of a history that was cut short has not
// been seen.
//
// What belongs together is a trial: a few keys that nobody else writes, all calls that
// name them, and those who follow them. A trial is judged by itself, so neither side ever holds a whole history in
// memory.
//
// It judges nothing: see package judge.
package history

import "github.com/sheafdb/sheaf"

// Format is the version of the lines.
const Format = 1

// Event is one line: exactly one of its pointers is set.
type Event struct {
	AtNS int64 `json:"at_ns"`
	// Op is the number of the call that a line is about.
	Op     uint64  `json:"op,omitempty"`
	Run    *Run    `json:"run,omitempty"`
	Open   *Open   `json:"open,omitempty"`
	Call   *Call   `json:"call,omitempty"`
	Return *Return `json:"return,omitempty"`
	Seen   *Seen   `json:"seen,omitempty"`
	Close  *Close  `json:"close,omitempty"`
	Pulse  *Pulse  `json:"pulse,omitempty"`
	End    *End    `json:"end,omitempty"`
}

// Run is the first line: what was asked for.
type Run struct {
	Format    int      `json:"format"`
	Began     string   `json:"began"` // RFC 3339
	Endpoints []string `json:"endpoints"`
	Workloads []string `json:"workloads"`
	Level     string   `json:"level"`
	Clients   int      `json:"clients"`
	Seed      uint64   `json:"seed"`
	// Prefix comes before the name of the trial in every key.
	Prefix string `json:"prefix"`
	// Killed: somebody kills nodes. A node that dies may lose what it has accepted last at
	// EVENTUAL.
	Killed bool `json:"killed,omitempty"`
	// LostOK is how many batches accepted at EVENTUAL may be lost without a kill.
	LostOK int `json:"lost_ok,omitempty"`
	// MinOK is the share of the calls, or their number, that must have succeeded.
	MinOK string `json:"min_ok,omitempty"`
}

// Open begins a trial.
type Open struct {
	// Trial is its name: the workload, a slash and a number. A key is
	// the run's prefix, this name, a slash and the name that calls have for it.
	Trial    string `json:"trial"`
	Workload string `json:"workload"`
}

// Close ends a trial: nothing more is called in it, unknown outcomes have been asked for
// again, and its keys have been read for the last time.
type Close struct {
	Trial string `json:"trial"`
}

// Pulse is a sign of life of a node: how long its process has been running. It tells a node
// that was killed and started again from one that was slow.
type Pulse struct {
	Node string `json:"node"`
	// SentNS is when it was asked for; it came at the time of the line.
	SentNS   int64 `json:"sent_ns"`
	UptimeMS int64 `json:"uptime_ms"`
}

// End is the last line of a run that came to its end.
type End struct {
	// Interrupted: it was stopped before its time.
	Interrupted bool `json:"interrupted,omitempty"`
}

// Conditions of a write; all of them are on all of the keys that it names.
const (
	ByETag     = "if_match"
	ByVersions = "if_version"
	NoneExists = "if_none_match *"
)

// Call is a call that is about to be made.
type Call struct {
	Trial string `json:"trial"`
	// Client is who calls. A client that gives up on an unknown outcome goes on as
	// another Process, so that no process has two operations at once.
	Client  int `json:"client"`
	Process int `json:"process"`
	// Node is the endpoint.
	Node  string `json:"node"`
	Level string `json:"level"`
	After uint64 `json:"after,omitempty"`
	// RequestID is that of a write. Calls with the same one are attempts at one batch.
	RequestID string   `json:"request_id,omitempty"`
	Keys      []string `json:"keys"`
	// Writes has a value for each key, null for a delete; absent in a read.
	Writes []*string `json:"writes,omitempty"`
	// Condition is "" or one of those above. Expect is what the keys had, as the client
	// knew, when IfMatch or IfVersions were told to it.
	Condition  string    `json:"condition,omitempty"`
	Expect     []*string `json:"expect,omitempty"`
	IfMatch    string    `json:"if_match,omitempty"`
	IfVersions []uint64  `json:"if_versions,omitempty"`
	// Final: nobody writes to the trial any more. A write that is so is the last, of all of
	// the trial's keys.
	Final bool `json:"final,omitempty"`
}

// Outcome is what a caller knows after a call.
type Outcome string

// The outcomes of a call.
const (
	OK Outcome = "ok"
	// NotApplied: the batch is not applied and, under this request ID with these
	// conditions, never will be. A read that failed has this outcome too.
	NotApplied Outcome = "not applied"
	// DidNothing: this call did nothing; others with the same request ID may have.
	DidNothing Outcome = "this call did nothing"
	// Unknown: the batch may be applied or not, or may yet be.
	Unknown Outcome = "unknown"
)

// Return is how a call ended.
type Return struct {
	// SentNS is when the call was made, after its line was on disk.
	SentNS   int64   `json:"sent_ns"`
	Outcome  Outcome `json:"outcome"`
	Attempts int     `json:"attempts,omitempty"`
	// Code and Detail are those of the error.
	Code   sheaf.Code `json:"code,omitempty"`
	Detail string     `json:"detail,omitempty"`

	Version  uint64 `json:"version,omitempty"`
	ETag     string `json:"etag,omitempty"`
	Replayed bool   `json:"replayed,omitempty"`
	Accepted bool   `json:"accepted,omitempty"`

	// Values and Versions are what a read found for each key: null and 0 where there is
	// nothing.
	Values   []*string `json:"values,omitempty"`
	Versions []uint64  `json:"versions,omitempty"`
}
