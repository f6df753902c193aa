package client

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/sheafdb/sheaf"
	sheafv1 "github.com/sheafdb/sheaf/api/sheaf/v1"
)

// leaderless refuses each batch until that time has passed since its first attempt.
func leaderless(lasts time.Duration) writeLine {
	var mu sync.Mutex
	until := map[string]time.Time{}
	return func(_ context.Context, _ *fakeNode, req *sheafv1.PutAllRequest) (*sheafv1.PutAllResponse, error) {
		mu.Lock()
		defer mu.Unlock()
		end, seen := until[req.GetRequestId()]
		if !seen {
			end = time.Now().Add(lasts)
			until[req.GetRequestId()] = end
		}
		if time.Now().Before(end) {
			return nil, refusal(sheaf.NotLeader)
		}
		return &sheafv1.PutAllResponse{Version: 1, Etag: `"e"`}, nil
	}
}

func TestLosingTheLeaderForSecondsIsWithinTheDefaultBudget(t *testing.T) {
	for _, test := range []struct {
		callers, rounds int
		lasts           time.Duration
	}{
		{1, 1, 20 * time.Second},
		{64, 1, 5 * time.Second},
		// A caller who meets one loss after the other, without calls in between that earn.
		{1, 100, 20 * time.Second},
	} {
		inBubble(t, &fakeNode{putall: []writeLine{leaderless(test.lasts)}}, func(t *testing.T, c *Client) {
			var callers sync.WaitGroup
			for range test.callers {
				callers.Go(func() {
					for range test.rounds {
						if _, err := c.PutAll(t.Context(), someEntries); err != nil {
							t.Errorf("%+v: %v", test, err)
						}
					}
				})
			}
			callers.Wait()
		})
	}
}

var smallBudget = RetryPolicy{Budget: RetryBudget{Ratio: 0.1, PerSecond: 1e-9, Burst: 5}}

func TestRetriesAreAtMostTheBudget(t *testing.T) {
	node := &fakeNode{putall: []writeLine{refused(sheaf.NotLeader)}}
	inBubble(t, node, func(t *testing.T, c *Client) {
		for i := range 100 {
			_, err := c.PutAll(t.Context(), someEntries)
			if sheaf.CodeOf(err) != sheaf.NotLeader || !strings.Contains(sheaf.AsError(err).Detail, "retry budget is empty") {
				t.Fatalf("call %d ended with %v, want its last refusal, which tells of the budget", i, err)
			}
		}
		if retries := len(node.raw) - 100; retries < 14 || retries > 15 {
			t.Errorf("%d retries of 100 calls, want 5 and a tenth of the calls", retries)
		}
	}, WithRetry(smallBudget))
}

func TestBeingThrottledCostsTheBudgetToo(t *testing.T) {
	node := &fakeNode{putall: []writeLine{refused(sheaf.RateLimited, retryInfo(time.Second))}}
	inBubble(t, node, func(t *testing.T, c *Client) {
		_, err := c.PutAll(t.Context(), someEntries)
		if sheaf.CodeOf(err) != sheaf.RateLimited || sheaf.AsError(err).RetryAfter != time.Second || len(node.raw) != 1+5 {
			t.Errorf("got %v after %d attempts", err, len(node.raw))
		}
	}, WithRetry(smallBudget))
}

func TestAnEmptyBudgetDoesNotHideThatTheOutcomeIsUnknown(t *testing.T) {
	for name, script := range map[string][]writeLine{
		"the last attempt too":   {bare(codes.Unavailable)},
		"the first attempt only": {dropped, refused(sheaf.NotLeader)},
	} {
		t.Run(name, func(t *testing.T) {
			node := &fakeNode{putall: script}
			inBubble(t, node, func(t *testing.T, c *Client) {
				result, err := c.PutAll(t.Context(), someEntries)
				if sheaf.CodeOf(err) != sheaf.OutcomeUnknown || result.Attempts != 6 {
					t.Errorf("got %v after %d attempts, want OUTCOME_UNKNOWN", err, result.Attempts)
				}
				for _, want := range []string{"retry budget is empty", string(result.RequestID)} {
					if !strings.Contains(err.Error(), want) {
						t.Errorf("%q does not tell %q", err, want)
					}
				}
			}, WithRetry(smallBudget))
		})
	}
}

func TestTheBudgetComesBackWithTime(t *testing.T) {
	node := &fakeNode{putall: []writeLine{refused(sheaf.NotLeader)}}
	inBubble(t, node, func(t *testing.T, c *Client) {
		for range 20 {
			_, _ = c.PutAll(t.Context(), someEntries) // spends all there is
		}
		before := len(node.raw)
		<-time.After(time.Minute)
		_, _ = c.PutAll(t.Context(), someEntries)
		if retries := len(node.raw) - before - 1; retries < 20 {
			t.Errorf("%d retries after a minute at 10 tokens a second, with room for 20", retries)
		}
	}, WithRetry(RetryPolicy{Budget: RetryBudget{Burst: 20}}))
}
