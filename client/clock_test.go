package client

import (
	"strconv"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/protoadapt"

	"github.com/sheafdb/sheaf"
)

func aheadBy(d time.Duration) func() time.Time {
	return func() time.Time { return time.Now().Add(d) }
}

var badRequestID protoadapt.MessageV1 = &errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{
	{Field: "request_id", Description: "was issued in the future"},
}}

func TestWrongClockCostsOneMoreAttemptAndNoError(t *testing.T) {
	for name, test := range map[string]struct {
		ahead   time.Duration
		refusal writeLine
	}{
		"ours is an hour behind": {time.Hour, refused(sheaf.RequestIDExpired)},
		"ours is an hour ahead":  {-time.Hour, refused(sheaf.InvalidBatch, badRequestID)},
	} {
		t.Run(name, func(t *testing.T) {
			node := &fakeNode{clock: aheadBy(test.ahead), putall: []writeLine{test.refusal, applied(1)}}
			inBubble(t, node, func(t *testing.T, c *Client) {
				result, err := c.PutAll(t.Context(), someEntries)
				if err != nil || result.Attempts != 2 || result.Version != 1 {
					t.Fatalf("got %+v, %v", result, err)
				}
				first, second := node.writes[0].GetRequestId(), node.writes[1].GetRequestId()
				if first == second || second != string(result.RequestID) {
					t.Errorf("sent %q then %q, and told %q", first, second, result.RequestID)
				}
				next, err := c.PutAll(t.Context(), someEntries)
				if err != nil || next.Attempts != 1 {
					t.Fatalf("got %+v, %v", next, err)
				}
				for _, id := range []sheaf.RequestID{result.RequestID, next.RequestID} {
					issued, _ := id.IssueTime()
					if off := issued.Sub(node.clock()).Abs(); off > time.Second {
						t.Errorf("%q is %v off the server's clock", id, off)
					}
				}
			})
		})
	}
}

func TestRefusedIDIsReplacedOnlyWhenNothingCanBeApplied(t *testing.T) {
	for name, test := range map[string]struct {
		ahead    time.Duration
		script   []writeLine
		opts     []WriteOption
		want     sheaf.Code
		attempts int
	}{
		"the caller's own ID":     {time.Hour, []writeLine{refused(sheaf.RequestIDExpired)}, []WriteOption{WithRequestID("mine")}, sheaf.RequestIDExpired, 1},
		"not the first attempt":   {time.Hour, []writeLine{bare(codes.Unavailable), refused(sheaf.RequestIDExpired)}, nil, sheaf.RequestIDExpired, 2},
		"the clocks agree":        {900 * time.Millisecond, []writeLine{refused(sheaf.RequestIDExpired)}, nil, sheaf.RequestIDExpired, 1},
		"another field":           {time.Hour, []writeLine{refused(sheaf.InvalidBatch)}, nil, sheaf.InvalidBatch, 1},
		"the second is final too": {time.Hour, []writeLine{refused(sheaf.RequestIDExpired)}, nil, sheaf.RequestIDExpired, 2},
	} {
		t.Run(name, func(t *testing.T) {
			node := &fakeNode{clock: aheadBy(test.ahead), putall: test.script}
			inBubble(t, node, func(t *testing.T, c *Client) {
				result, err := c.PutAll(t.Context(), someEntries, test.opts...)
				if sheaf.CodeOf(err) != test.want || result.Attempts != test.attempts || len(node.writes) != test.attempts {
					t.Errorf("got %v after %d attempts, want %s after %d", err, result.Attempts, test.want, test.attempts)
				}
			})
		})
	}
}

func TestServerClockKeepsTheTightestSampleUntilItIsWrong(t *testing.T) {
	var c serverClock
	now := time.UnixMilli(1_800_000_000_000)
	for i, step := range []struct {
		ahead, roundTrip time.Duration
		want             time.Duration
	}{
		{time.Hour + 3*time.Second, 10 * time.Second, time.Hour + 3*time.Second},
		{time.Hour, 10 * time.Millisecond, time.Hour},              // tighter
		{time.Hour + 2*time.Second, 6 * time.Second, time.Hour},    // looser, and consistent
		{5 * time.Second, 100 * time.Millisecond, 5 * time.Second}, // a clock was set
		{5*time.Second + 1, time.Second, 5 * time.Second},
		{time.Second, time.Millisecond, 0}, // set again, and close enough
	} {
		told := now.Add(step.roundTrip / 2).Add(step.ahead)
		c.observe(metadata.Pairs(serverTimeKey, strconv.FormatInt(told.UnixMilli(), 10)), now, step.roundTrip)
		if got := c.correction(); got != step.want {
			t.Errorf("after sample %d the correction is %v, want %v", i, got, step.want)
		}
	}
	before := c.ahead
	c.observe(nil, now, 0)
	c.observe(metadata.Pairs(serverTimeKey, "noon"), now, 0)
	if c.ahead != before {
		t.Error("an answer that tells no time changed the clock")
	}
}
