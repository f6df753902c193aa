package client

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sheafdb/sheaf"
	sheafv1 "github.com/sheafdb/sheaf/api/sheaf/v1"
)

// readAfter answers like line after a while, or tells cut that its caller is gone.
func readAfter(d time.Duration, line readLine, cut *atomic.Int64) readLine {
	return func(ctx context.Context, n *fakeNode, req *sheafv1.GetAllRequest) (*sheafv1.GetAllResponse, error) {
		select {
		case <-time.After(d):
			return line(ctx, n, req)
		case <-ctx.Done():
			cut.Add(1)
			return nil, ctx.Err()
		}
	}
}

func TestHedgedReadTakesTheFirstGoodAnswer(t *testing.T) {
	const after = 50 * time.Millisecond
	one, two := holding(`"1"`, nil), holding(`"2"`, nil)
	stale := unread(refusal(sheaf.StaleReplica))
	invalid := unread(refusal(sheaf.InvalidBatch))
	var cut [2]atomic.Int64
	for _, test := range []struct {
		name          string
		first, second readLine
		policy        RetryPolicy
		want          sheaf.ETag
		code          sheaf.Code
		took          time.Duration // 0: not looked at
		asked         [2]int
		cut           [2]int64
	}{
		{
			name: "the first is fast", first: readAfter(after-1, one, &cut[0]), second: two,
			want: `"1"`, took: after - 1, asked: [2]int{1, 0},
		},
		{
			name: "the second is faster", first: readAfter(time.Minute, one, &cut[0]), second: readAfter(after, two, &cut[1]),
			want: `"2"`, took: 2 * after, asked: [2]int{1, 1}, cut: [2]int64{1, 0},
		},
		{
			name: "the first is faster after all", first: readAfter(2*after, one, &cut[0]), second: readAfter(time.Minute, two, &cut[1]),
			want: `"1"`, took: 2 * after, asked: [2]int{1, 1}, cut: [2]int64{0, 1},
		},
		{
			name: "a refusal is no good answer", first: readAfter(time.Second, one, &cut[0]), second: stale,
			want: `"1"`, took: time.Second, asked: [2]int{1, 1},
		},
		{
			name: "what no endpoint would take ends it", first: readAfter(time.Minute, one, &cut[0]), second: invalid,
			code: sheaf.InvalidBatch, took: after, asked: [2]int{1, 1}, cut: [2]int64{1, 0},
		},
		{
			name: "the first fails at once: an ordinary retry", first: stale, second: two,
			want: `"2"`, asked: [2]int{1, 1},
		},
		{
			name: "both fail: the first decides", first: readAfter(2*after, unread(refusal(sheaf.RateLimited)), &cut[0]), second: stale,
			policy: RetryPolicy{MaxAttempts: 1},
			code:   sheaf.RateLimited, took: 2 * after, asked: [2]int{1, 1},
		},
		{
			name: "no budget, no hedge", first: readAfter(time.Minute, one, &cut[0]), second: two,
			policy: RetryPolicy{Budget: RetryBudget{Burst: 0.5}},
			want:   `"1"`, took: time.Minute, asked: [2]int{1, 0},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			cut[0].Store(0)
			cut[1].Store(0)
			nodes := []*fakeNode{{getall: []readLine{test.first}}, {getall: []readLine{test.second}}}
			inBubbleOf(t, nodes, func(t *testing.T, c *Client) {
				for _, n := range c.nodes.all {
					n.conn.Connect()
				}
				synctest.Wait()
				key := []byte("a")
				begun := time.Now()
				got, err := c.GetAll(t.Context(), [][]byte{key}, Hedge(after))
				took := time.Since(begun)
				key[0] = 'b' // the loser must have let go of it
				if got.ETag != test.want || (err != nil || test.code != "") && sheaf.CodeOf(err) != test.code {
					t.Errorf("got %q, %v; want %q", got.ETag, err, test.want)
				}
				if test.took != 0 && took != test.took {
					t.Errorf("took %v, want %v", took, test.took)
				}
				synctest.Wait()
				if asked := [2]int{len(nodes[0].reads), len(nodes[1].reads)}; asked != test.asked {
					t.Errorf("the endpoints were asked %v times, want %v", asked, test.asked)
				}
				if cut := [2]int64{cut[0].Load(), cut[1].Load()}; cut != test.cut {
					t.Errorf("%v requests were cancelled, want %v", cut, test.cut)
				}
			}, WithRetry(test.policy), WithTimeout(time.Hour))
		})
	}
}

func TestHedgeWithOneEndpointIsAnOrdinaryRead(t *testing.T) {
	var cut atomic.Int64
	node := &fakeNode{getall: []readLine{readAfter(time.Second, holding(`"1"`, nil), &cut)}}
	inBubble(t, node, func(t *testing.T, c *Client) {
		if _, err := c.Get(t.Context(), []byte("a"), Hedge(time.Millisecond)); sheaf.CodeOf(err) != sheaf.NotFound || len(node.reads) != 1 {
			t.Errorf("got %v after %d requests", err, len(node.reads))
		}
	})
}

func TestEachHedgeCostsAToken(t *testing.T) {
	var cut atomic.Int64
	slow := readAfter(time.Second, holding(`"1"`, nil), &cut)
	nodes := []*fakeNode{{getall: []readLine{slow}}, {getall: []readLine{holding(`"2"`, nil)}}}
	inBubbleOf(t, nodes, func(t *testing.T, c *Client) {
		for range 50 {
			if _, err := c.GetAll(t.Context(), keysOf("a"), Hedge(time.Millisecond)); err != nil {
				t.Fatal(err)
			}
		}
		if n := len(nodes[1].reads); n < 9 || n > 10 {
			t.Errorf("%d of 50 reads were hedged, want 5 and a tenth of the calls", n)
		}
	}, WithRetry(smallBudget))
}
