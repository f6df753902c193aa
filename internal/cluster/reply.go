package cluster

import (
	"encoding/json"
	"time"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/apply"
	"github.com/sheafdb/sheaf/internal/group"
	"github.com/sheafdb/sheaf/internal/wire"
)

// reply is what a leader answers a node that brought it commands: results, or the error of
// them all.
type reply struct {
	Results []result      `json:"r,omitempty"`
	Error   *failure      `json:"e,omitempty"`
	Log     time.Duration `json:"l,omitempty"`
	Apply   time.Duration `json:"a,omitempty"`
}

// result is an apply.Result.
type result struct {
	Version  uint64        `json:"v,omitempty"`
	ETag     wire.ETagSum  `json:"e"`
	Replayed bool          `json:"p,omitempty"`
	Without  []byte        `json:"w,omitempty"`
	Refused  *failure      `json:"x,omitempty"`
	Outcome  apply.Outcome `json:"o,omitempty"`
	Attempt  uint64        `json:"a,omitempty"`
	Clock    uint64        `json:"c,omitempty"`
	NowMS    uint64        `json:"n,omitempty"`
	Holder   wire.Holder   `json:"h"`
}

// failure is a sheaf.Error without its cause, which is in the detail.
type failure struct {
	Code        sheaf.Code             `json:"code"`
	Detail      string                 `json:"detail,omitempty"`
	Fields      []sheaf.FieldViolation `json:"fields,omitempty"`
	Keys        [][]byte               `json:"keys,omitempty"`
	CurrentETag sheaf.ETag             `json:"etag,omitempty"`
	RetryAfter  time.Duration          `json:"retry_after,omitempty"`
}

func failureOf(err error) *failure {
	if err == nil {
		return nil
	}
	e := sheaf.AsError(err)
	f := &failure{Code: e.Code, Detail: e.Detail, Fields: e.Fields, Keys: e.Keys, CurrentETag: e.CurrentETag, RetryAfter: e.RetryAfter}
	if e.Err != nil {
		f.Detail += ": " + e.Err.Error()
	}
	return f
}

func (f *failure) error() *sheaf.Error {
	if f == nil {
		return nil
	}
	return &sheaf.Error{Code: f.Code, Detail: f.Detail, Fields: f.Fields, Keys: f.Keys, CurrentETag: f.CurrentETag, RetryAfter: f.RetryAfter}
}

func encodeReply(results []apply.Result, timing group.Timing, err error) ([]byte, error) {
	r := reply{Error: failureOf(err), Log: timing.Log, Apply: timing.Apply}
	for i := range results {
		one := &results[i]
		out := result{
			Version: one.Version, ETag: one.ETag, Replayed: one.Replayed, Without: one.Without, Outcome: one.Outcome,
			Attempt: one.Attempt, Clock: one.Clock, NowMS: one.NowMS, Holder: one.Holder,
		}
		if one.Refused != nil {
			out.Refused = failureOf(one.Refused)
		}
		r.Results = append(r.Results, out)
	}
	return json.Marshal(&r)
}

// decodeReply says OUTCOME_UNKNOWN of an answer that it cannot read: the commands were there.
func decodeReply(data []byte) ([]apply.Result, group.Timing, error) {
	var r reply
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, group.Timing{}, &sheaf.Error{Code: sheaf.OutcomeUnknown, Err: err, Detail: "the leader's answer cannot be read"}
	}
	timing := group.Timing{Log: r.Log, Apply: r.Apply}
	if r.Error != nil {
		return nil, timing, r.Error.error()
	}
	results := make([]apply.Result, len(r.Results))
	for i := range r.Results {
		one := &r.Results[i]
		results[i] = apply.Result{
			Version: one.Version, ETag: one.ETag, Replayed: one.Replayed, Without: one.Without, Outcome: one.Outcome, Refused: one.Refused.error(),
			Attempt: one.Attempt, Clock: one.Clock, NowMS: one.NowMS, Holder: one.Holder,
		}
	}
	return results, timing, nil
}
