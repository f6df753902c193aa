package client

import (
	"bytes"
	"context"
	"errors"
	"net"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/sheafdb/sheaf"
	sheafv1 "github.com/sheafdb/sheaf/api/sheaf/v1"
)

var someEntries = []sheaf.Entry{sheaf.Put("a", "1"), sheaf.Delete("b")}

// What each row must do is written out here, and not computed from the table:
// a change of a row should be seen.
var rowTests = []struct {
	code sheaf.Code
	// again: the same call is sent again by itself.
	again bool
	// afterUnknown is the code that a call ends with when an earlier attempt
	// was not answered and all later ones are refused like this.
	afterUnknown sheaf.Code
}{
	{sheaf.RequestIDRequired, false, sheaf.OutcomeUnknown},
	{sheaf.InvalidBatch, false, sheaf.OutcomeUnknown},
	{sheaf.BatchTooLarge, false, sheaf.OutcomeUnknown},
	{sheaf.ETagRequired, false, sheaf.OutcomeUnknown},
	{sheaf.ETagMismatch, false, sheaf.ETagMismatch},
	{sheaf.VersionMismatch, false, sheaf.VersionMismatch},
	{sheaf.RequestIDReused, false, sheaf.RequestIDReused},
	{sheaf.RequestIDExpired, false, sheaf.RequestIDExpired},
	{sheaf.RateLimited, true, sheaf.OutcomeUnknown},
	{sheaf.NoSpace, false, sheaf.OutcomeUnknown},
	{sheaf.NotLeader, true, sheaf.OutcomeUnknown},
	{sheaf.Draining, true, sheaf.OutcomeUnknown},
	{sheaf.OutcomeUnknown, true, sheaf.OutcomeUnknown},
	{sheaf.Contention, true, sheaf.OutcomeUnknown},
	{sheaf.StaleReplica, true, sheaf.OutcomeUnknown},
	{sheaf.Compacted, false, sheaf.OutcomeUnknown},
	{sheaf.NotFound, false, sheaf.OutcomeUnknown},
	{sheaf.MethodNotAllowed, false, sheaf.OutcomeUnknown},
	{sheaf.UnsupportedMediaType, false, sheaf.UnsupportedMediaType},
	{sheaf.NotProposed, true, sheaf.OutcomeUnknown},
	{sheaf.Internal, false, sheaf.Internal},
	{sheaf.Unauthenticated, false, sheaf.OutcomeUnknown},
	{sheaf.PermissionDenied, false, sheaf.OutcomeUnknown},
	{sheaf.Corruption, false, sheaf.Corruption},
}

func TestEveryRowOfTheTableIsRetriedAsItSays(t *testing.T) {
	if len(rowTests) != len(sheaf.Table) {
		t.Fatalf("%d rows are tested of %d", len(rowTests), len(sheaf.Table))
	}
	for _, test := range rowTests {
		t.Run(string(test.code)+"/then applied", func(t *testing.T) {
			node := &fakeNode{putall: []writeLine{refused(test.code), applied(7)}}
			inBubble(t, node, func(t *testing.T, c *Client) {
				result, err := c.PutAll(t.Context(), someEntries)
				if test.again {
					if err != nil || result.Version != 7 || result.Attempts != 2 {
						t.Errorf("got %+v, %v; want version 7 at the second attempt", result, err)
					}
					return
				}
				if sheaf.CodeOf(err) != test.code || result.Attempts != 1 {
					t.Errorf("got %v after %d attempts, want %s after one", err, result.Attempts, test.code)
				}
			})
		})
		t.Run(string(test.code)+"/after an unknown attempt", func(t *testing.T) {
			node := &fakeNode{putall: []writeLine{dropped, refused(test.code)}}
			inBubble(t, node, func(t *testing.T, c *Client) {
				result, err := c.PutAll(t.Context(), someEntries)
				if got := sheaf.CodeOf(err); got != test.afterUnknown {
					t.Errorf("got %v, want %s", err, test.afterUnknown)
				}
				if !errors.Is(err, test.code) {
					t.Errorf("%v does not wrap the last refusal, %s", err, test.code)
				}
				if want := map[bool]int{true: 3, false: 2}[test.again]; result.Attempts != want {
					t.Errorf("%d attempts, want %d", result.Attempts, want)
				}
				named := strings.Contains(err.Error(), string(result.RequestID))
				if result.RequestID == "" || (test.afterUnknown == sheaf.OutcomeUnknown && !named) {
					t.Errorf("the request ID %q is needed for a retry and not in %q", result.RequestID, err)
				}
			}, WithRetry(RetryPolicy{MaxAttempts: 3}))
		})
	}
}

func TestAttemptsAreIdenticalBytesUnderOneRequestID(t *testing.T) {
	node := &fakeNode{putall: []writeLine{
		dropped, bare(codes.Unavailable), refused(sheaf.RateLimited), refused(sheaf.NotLeader), bare(codes.Internal), applied(1),
	}}
	inBubble(t, node, func(t *testing.T, c *Client) {
		result, err := c.PutAll(t.Context(), someEntries, IfMatch(`"0123"`), After(9), At(sheaf.Sequential))
		if err != nil || result.Attempts != len(node.putall) || len(node.raw) != len(node.putall) {
			t.Fatalf("got %+v, %v with %d requests", result, err, len(node.raw))
		}
		for i, raw := range node.raw {
			if !bytes.Equal(raw, node.raw[0]) {
				t.Errorf("attempt %d sent %x, the first %x", i+1, raw, node.raw[0])
			}
			if id := node.writes[i].GetRequestId(); id != string(result.RequestID) {
				t.Errorf("attempt %d has request ID %q, want %q", i+1, id, result.RequestID)
			}
			if got := node.md[i].Get("sheaf-batch-bytes"); len(got) != 1 || got[0] != strconv.Itoa(len(raw)) {
				t.Errorf("attempt %d announces %q bytes of %d", i+1, got, len(raw))
			}
			if got := node.md[i].Get("content-type"); len(got) != 1 || got[0] != "application/grpc+proto" {
				t.Errorf("attempt %d has content type %q", i+1, got)
			}
		}
	})
}

func TestCallerTimeOverTellsWhetherTheBatchMayBeApplied(t *testing.T) {
	unreachable := withDialer(func(context.Context) (net.Conn, error) { return nil, errors.New("nobody listens") })
	for _, test := range []struct {
		name   string
		script []writeLine
		opts   []Option
		call   []WriteOption
		want   sheaf.Code
	}{
		{"never sent", nil, []Option{unreachable}, nil, sheaf.NotProposed},
		{"never sent, one attempt", nil, []Option{unreachable}, []WriteOption{WithoutRetry()}, sheaf.NotProposed},
		{"not answered", []writeLine{held}, nil, nil, sheaf.OutcomeUnknown},
		{"not answered, one attempt", []writeLine{held}, nil, []WriteOption{WithoutRetry()}, sheaf.OutcomeUnknown},
		{"always refused", []writeLine{refused(sheaf.NotLeader)}, nil, nil, sheaf.NotLeader},
		{"not answered, then refused", []writeLine{dropped, refused(sheaf.NotLeader)}, nil, nil, sheaf.OutcomeUnknown},
		{"bare refusals", []writeLine{bare(codes.Unavailable)}, nil, nil, sheaf.OutcomeUnknown},
	} {
		t.Run(test.name, func(t *testing.T) {
			node := &fakeNode{putall: test.script}
			inBubble(t, node, func(t *testing.T, c *Client) {
				ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
				defer cancel()
				start := time.Now()
				result, err := c.PutAll(ctx, someEntries, test.call...)
				if sheaf.CodeOf(err) != test.want {
					t.Errorf("got %v, want %s", err, test.want)
				}
				// A single attempt that cannot connect need not wait, and a refusal ends when
				// no time is left for another.
				least := 3 * time.Second
				if strings.HasSuffix(test.name, "refused") {
					least -= lastTry
				}
				if waited := time.Since(start); (waited < least || waited > 3*time.Second) && test.name != "never sent, one attempt" {
					t.Errorf("took %v of 3s", waited)
				} else if waited == 3*time.Second && !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%v does not wrap context.DeadlineExceeded", err)
				}
				if named := strings.Contains(err.Error(), string(result.RequestID)); named != (test.want == sheaf.OutcomeUnknown) {
					t.Errorf("%q names the request ID %q: %v", err, result.RequestID, named)
				}
			}, test.opts...)
		})
	}
}

// TestTheDeadlineDoesNotHideTheReason: a read that is refused until its last attempt is cut short
// tells why it was refused.
func TestTheDeadlineDoesNotHideTheReason(t *testing.T) {
	draining := func(context.Context, *fakeNode, *sheafv1.GetAllRequest) (*sheafv1.GetAllResponse, error) {
		return nil, refusal(sheaf.Draining)
	}
	silent := func(ctx context.Context, _ *fakeNode, _ *sheafv1.GetAllRequest) (*sheafv1.GetAllResponse, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	node := &fakeNode{getall: []line[*sheafv1.GetAllRequest, *sheafv1.GetAllResponse]{draining, draining, silent}}
	inBubble(t, node, func(t *testing.T, c *Client) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		if _, err := c.Get(ctx, []byte("a")); sheaf.CodeOf(err) != sheaf.NotProposed || !errors.Is(err, sheaf.Draining) {
			t.Errorf("got %v, want NOT_PROPOSED and why", err)
		}
	})
}

// TestANodeThatFoundNoLeaderIsNotAskedAgain when it would have less time for it than it just took:
// its refusal says more than the deadline. Another node may have a leader.
func TestANodeThatFoundNoLeaderIsNotAskedAgain(t *testing.T) {
	slow := func(ctx context.Context, _ *fakeNode, _ *sheafv1.GetAllRequest) (*sheafv1.GetAllResponse, error) {
		select {
		case <-time.After(2 * time.Second):
			return nil, refusal(sheaf.NotLeader)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	for _, endpoints := range []int{1, 2} {
		nodes, want := make([]*fakeNode, endpoints), []sheaf.Code{sheaf.NotLeader, sheaf.NotProposed}[endpoints-1]
		for i := range nodes {
			nodes[i] = &fakeNode{getall: []line[*sheafv1.GetAllRequest, *sheafv1.GetAllResponse]{slow}}
		}
		inBubbleOf(t, nodes, func(t *testing.T, c *Client) {
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			if _, err := c.Get(ctx, []byte("a")); sheaf.CodeOf(err) != want || !errors.Is(err, sheaf.NotLeader) {
				t.Errorf("of %d nodes got %v, want %s", endpoints, err, want)
			}
		})
	}
}

// TestARefusalForGoodEndsTheCall, however much time it has.
func TestARefusalForGoodEndsTheCall(t *testing.T) {
	node := &fakeNode{putall: []writeLine{refused(sheaf.Draining, retryInfo(time.Hour))}}
	inBubble(t, node, func(t *testing.T, c *Client) {
		start := time.Now()
		result, err := c.PutAll(t.Context(), someEntries)
		if sheaf.CodeOf(err) != sheaf.Draining || result.Attempts != 1 || time.Since(start) != 0 {
			t.Errorf("%d attempts in %v: %v", result.Attempts, time.Since(start), err)
		}
	})
}

// TestAnUnknownOutcomeKeepsWhatTheNodeSaidOfIt until the caller's time is over.
func TestAnUnknownOutcomeKeepsWhatTheNodeSaidOfIt(t *testing.T) {
	node := &fakeNode{putall: []writeLine{refused(sheaf.OutcomeUnknown)}}
	inBubble(t, node, func(t *testing.T, c *Client) {
		_, err := c.PutAll(t.Context(), someEntries)
		if sheaf.CodeOf(err) != sheaf.OutcomeUnknown || !strings.Contains(err.Error(), "told by the test") {
			t.Errorf("got %v", err)
		}
	}, WithTimeout(5*time.Second))
}

func TestCancelledWriteIsUnknownOnceSent(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	node := &fakeNode{putall: []writeLine{func(ctx context.Context, n *fakeNode, r *sheafv1.PutAllRequest) (*sheafv1.PutAllResponse, error) {
		cancel()
		return held(ctx, n, r)
	}}}
	inBubble(t, node, func(t *testing.T, c *Client) {
		_, err := c.PutAll(ctx, someEntries)
		if sheaf.CodeOf(err) != sheaf.OutcomeUnknown || !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want OUTCOME_UNKNOWN that wraps context.Canceled", err)
		}
		_, err = c.PutAll(ctx, someEntries)
		if sheaf.CodeOf(err) != sheaf.NotProposed || !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want NOT_PROPOSED that wraps context.Canceled", err)
		}
	})
}

func TestCallWithoutDeadlineEndsAfterTheTimeout(t *testing.T) {
	node := &fakeNode{putall: []writeLine{held}}
	inBubble(t, node, func(t *testing.T, c *Client) {
		start := time.Now()
		_, err := c.PutAll(t.Context(), someEntries)
		if took := time.Since(start); took != DefaultTimeout || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("ended after %v with %v", took, err)
		}
	})
	node = &fakeNode{putall: []writeLine{refused(sheaf.Draining)}}
	inBubble(t, node, func(t *testing.T, c *Client) {
		start := time.Now()
		_, err := c.PutAll(t.Context(), someEntries)
		if took := time.Since(start); took < 5*time.Second-lastTry || took > 5*time.Second || sheaf.CodeOf(err) != sheaf.Draining {
			t.Errorf("ended after %v with %v", took, err)
		}
	}, WithTimeout(5*time.Second))
}

func TestRetryInfoIsHonoured(t *testing.T) {
	node := &fakeNode{putall: []writeLine{refused(sheaf.RateLimited, retryInfo(7*time.Second)), applied(1)}}
	inBubble(t, node, func(t *testing.T, c *Client) {
		start := time.Now()
		if _, err := c.PutAll(t.Context(), someEntries); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took < 7*time.Second || took > 8*time.Second {
			t.Errorf("came back after %v, was asked to after 7s", took)
		}
	})
	inBubble(t, &fakeNode{putall: node.putall}, func(t *testing.T, c *Client) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		start := time.Now()
		_, err := c.PutAll(ctx, someEntries)
		var e *sheaf.Error
		if !errors.As(err, &e) || e.Code != sheaf.RateLimited || e.RetryAfter != 7*time.Second || time.Since(start) > time.Second {
			t.Errorf("got %v after %v, want RATE_LIMITED at once: the wait is longer than the deadline", err, time.Since(start))
		}
	})
}

func TestDelayDoublesToItsBoundWithJitter(t *testing.T) {
	p := DefaultRetryPolicy()
	for failures, want := range map[int]time.Duration{
		1: 20 * time.Millisecond, 2: 40 * time.Millisecond, 6: 640 * time.Millisecond, 7: time.Second, 1000: time.Second,
	} {
		if got := p.delay(failures, 0, 0); got != want/2 {
			t.Errorf("least delay after %d failures is %v, want %v", failures, got, want/2)
		}
		if got := p.delay(failures, time.Minute, 0.999); got <= time.Minute+want*9/10 || got > time.Minute+want {
			t.Errorf("most delay after %d failures is %v, want almost 1m + %v", failures, got, want)
		}
	}
}

func TestClosedClientDoesNotRetry(t *testing.T) {
	node := &fakeNode{putall: []writeLine{held}}
	inBubble(t, node, func(t *testing.T, c *Client) {
		ended := make(chan error)
		go func() {
			_, err := c.PutAll(t.Context(), someEntries)
			ended <- err
		}()
		synctest.Wait()
		start := time.Now()
		_ = c.Close()
		if err := <-ended; sheaf.CodeOf(err) != sheaf.OutcomeUnknown {
			t.Errorf("a write under way ended with %v, want OUTCOME_UNKNOWN", err)
		}
		if _, err := c.PutAll(t.Context(), someEntries); sheaf.CodeOf(err) != sheaf.NotProposed {
			t.Errorf("a write afterwards ended with %v, want NOT_PROPOSED", err)
		}
		if waited := time.Since(start); waited != 0 {
			t.Errorf("retried for %v on a connection that is closed for good", waited)
		}
	})
}
