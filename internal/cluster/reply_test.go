package cluster

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/apply"
	"github.com/sheafdb/sheaf/internal/group"
	"github.com/sheafdb/sheaf/internal/wire"
)

func TestRepliesArriveAsTheyWereSent(t *testing.T) {
	results := []apply.Result{
		{Version: 1<<63 + 1, ETag: wire.ETagSum{Hi: 1 << 62, Lo: 3}, Replayed: true},
		{Refused: &sheaf.Error{Code: sheaf.ETagMismatch, Detail: "no", Keys: [][]byte{{0xff}, []byte("a")}, CurrentETag: "tag", RetryAfter: time.Second, Fields: []sheaf.FieldViolation{{Field: "a", Problem: "b"}}}},
		{Version: 9, Without: wire.Positions{0, 4}, Replayed: true},
		{Outcome: apply.Conflict, Attempt: 3, Clock: 4, NowMS: 5, Holder: wire.Holder{RequestID: "r", Attempt: 1, HomeKey: []byte{0}, DeadlineMS: 9}},
	}
	timing := group.Timing{Log: time.Millisecond, Apply: time.Microsecond}
	data, err := encodeReply(results, timing, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, gotTiming, err := decodeReply(data)
	if err != nil || gotTiming != timing {
		t.Fatalf("%v, %v", gotTiming, err)
	}
	if diff := cmp.Diff(results, got); diff != "" {
		t.Error(diff)
	}
}

func TestErrorsKeepTheirCode(t *testing.T) {
	data, err := encodeReply(nil, group.Timing{}, &sheaf.Error{Code: sheaf.NoSpace, Detail: "full", RetryAfter: time.Second, Err: errors.New("cause")})
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = decodeReply(data)
	var e *sheaf.Error
	if !errors.As(err, &e) || e.Code != sheaf.NoSpace || e.Detail != "full: cause" || e.RetryAfter != time.Second {
		t.Errorf("%#v", err)
	}
}

// TestAnAnswerThatCannotBeReadIsNoRefusal: the commands were with the leader.
func TestAnAnswerThatCannotBeReadIsNoRefusal(t *testing.T) {
	if _, _, err := decodeReply([]byte("{")); !errors.Is(err, sheaf.OutcomeUnknown) {
		t.Error(err)
	}
}
