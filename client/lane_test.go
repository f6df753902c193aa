package client

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/sheafdb/sheaf"
	sheafv1 "github.com/sheafdb/sheaf/api/sheaf/v1"
)

// slowly answers a write after a while on the bubble's clock.
func slowly(wait time.Duration, then writeLine) writeLine {
	return func(ctx context.Context, n *fakeNode, req *sheafv1.PutAllRequest) (*sheafv1.PutAllResponse, error) {
		time.Sleep(wait)
		return then(ctx, n, req)
	}
}

// everyEntry answers a bundle with a version and an ETag for each entry.
func everyEntry(_ int, req *sheafv1.PutBundleRequest) (*sheafv1.PutBundleResponse, error) {
	resp := &sheafv1.PutBundleResponse{}
	for i, e := range req.GetEntries() {
		resp.Outcomes = append(resp.Outcomes, &sheafv1.Outcome{Version: 100 + uint64(i), Etag: string(e.GetKey())})
	}
	return resp, nil
}

// told is an outcome that refuses its entry.
func told(code sheaf.Code) *sheafv1.Outcome {
	data, err := proto.Marshal(status.Convert(refusal(code)).Proto())
	if err != nil {
		panic(err)
	}
	return &sheafv1.Outcome{Status: data}
}

// outcomeOf is what a Put came to.
type outcomeOf struct {
	result Result
	err    error
}

// putMany has one Put on its way, and n that come while it is. It returns what became of them.
func putMany(ctx context.Context, c *Client, n int) []outcomeOf {
	all := make([]outcomeOf, n)
	var wait sync.WaitGroup
	wait.Go(func() { _, _ = c.Put(ctx, []byte("first"), nil) })
	synctest.Wait()
	for i := range n {
		wait.Go(func() {
			all[i].result, all[i].err = c.Put(ctx, fmt.Appendf(nil, "k%d", i), []byte("v"))
		})
		synctest.Wait() // so they are in this order
	}
	wait.Wait()
	return all
}

func TestWritesOneAfterTheOtherGoByThemselves(t *testing.T) {
	node := &fakeNode{putall: []writeLine{applied(7)}, bundle: everyEntry}
	inBubble(t, node, func(t *testing.T, c *Client) {
		for range 10 {
			if _, err := c.Put(t.Context(), []byte("k"), nil); err != nil {
				t.Fatal(err)
			}
		}
		if len(node.writes) != 10 || len(node.bundles) != 0 {
			t.Errorf("%d batches and %d bundles", len(node.writes), len(node.bundles))
		}
	})
}

func TestWritesAtTheSameTimeGoTogether(t *testing.T) {
	node := &fakeNode{putall: []writeLine{slowly(time.Millisecond, applied(7))}, bundle: everyEntry}
	inBubble(t, node, func(t *testing.T, c *Client) {
		for i, got := range putMany(t.Context(), c, 20) {
			want := fmt.Sprintf("%s/%d", node.bundles[0].GetRequestId(), i)
			if r := got.result; got.err != nil || r.Version != 100+uint64(i) || string(r.ETag) != fmt.Sprint("k", i) || string(r.RequestID) != want || r.Attempts != 1 || len(r.Stages) == 0 {
				t.Errorf("%d: %+v, %v", i, r, got.err)
			}
		}
		if len(node.writes) != 1 || len(node.bundles) != 1 {
			t.Errorf("%d batches and %d bundles", len(node.writes), len(node.bundles))
		}
		if _, err := c.PutAll(t.Context(), someEntries, WithRequestID(sheaf.RequestID(node.bundles[0].GetRequestId()+"/3"))); !errors.Is(err, sheaf.InvalidBatch) {
			t.Errorf("the ID of a place is taken: %v", err)
		}
	})
}

func TestEachWriteOfABundleHasItsOwnOutcome(t *testing.T) {
	node := &fakeNode{
		putall: []writeLine{slowly(time.Millisecond, applied(7))},
		bundle: func(n int, req *sheafv1.PutBundleRequest) (*sheafv1.PutBundleResponse, error) {
			resp, err := everyEntry(n, req)
			resp.Outcomes[1] = told(sheaf.VersionMismatch)
			return resp, err
		},
	}
	inBubble(t, node, func(t *testing.T, c *Client) {
		for i, got := range putMany(t.Context(), c, 3) {
			if refused := errors.Is(got.err, sheaf.VersionMismatch); refused != (i == 1) || got.err != nil != refused {
				t.Errorf("%d: %+v, %v", i, got.result, got.err)
			}
		}
		if len(node.bundles) != 1 {
			t.Errorf("%d bundles", len(node.bundles))
		}
	})
}

func TestWhoGivesUpIsToldWhetherTheWriteWasSent(t *testing.T) {
	node := &fakeNode{
		putall: []writeLine{slowly(10*time.Millisecond, applied(7))},
		bundle: func(n int, req *sheafv1.PutBundleRequest) (*sheafv1.PutBundleResponse, error) {
			time.Sleep(10 * time.Millisecond)
			return everyEntry(n, req)
		},
	}
	inBubble(t, node, func(t *testing.T, c *Client) {
		var wait sync.WaitGroup
		put := func(key string, patience time.Duration, check func(Result, error)) {
			wait.Go(func() {
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				defer cancel()
				check(c.Put(ctx, []byte(key), []byte("value of "+key)))
			})
			synctest.Wait()
		}
		served := func(r Result, err error) {
			if err != nil {
				t.Error(err)
			}
		}
		put("first", time.Second, served)
		put("stays", time.Second, served)
		put("unsent", 5*time.Millisecond, func(r Result, err error) {
			if !errors.Is(err, sheaf.NotProposed) || !errors.Is(err, context.DeadlineExceeded) || r.RequestID != "" {
				t.Errorf("before it was sent: %+v, %v", r, err)
			}
		})
		put("sent", 15*time.Millisecond, func(r Result, err error) {
			if !errors.Is(err, sheaf.OutcomeUnknown) || r.RequestID == "" || r.Attempts != 1 {
				t.Errorf("after it was sent: %+v, %v", r, err)
			}
		})
		put("stays too", time.Second, served)
		wait.Wait()
		var sent []string
		for _, e := range node.bundles[0].GetEntries() {
			sent = append(sent, string(e.GetKey()))
			if string(e.GetValue()) != "value of "+string(e.GetKey()) {
				t.Errorf("%v", e)
			}
		}
		if fmt.Sprint(sent) != "[stays sent stays too]" {
			t.Errorf("sent %q", sent)
		}
	})
}

// TestABundleThatNobodyWaitsForIsGivenUp, while another goes on for the one who does.
func TestABundleThatNobodyWaitsForIsGivenUp(t *testing.T) {
	node := &fakeNode{
		putall: []writeLine{slowly(time.Millisecond, applied(7))},
		bundle: func(int, *sheafv1.PutBundleRequest) (*sheafv1.PutBundleResponse, error) {
			return nil, refusal(sheaf.NotLeader)
		},
	}
	inBubble(t, node, func(t *testing.T, c *Client) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		for i, got := range putMany(ctx, c, 3) {
			if got.err == nil {
				t.Errorf("%d: %+v", i, got.result)
			}
		}
		synctest.Wait()
		before := len(node.bundles)
		time.Sleep(time.Minute)
		if len(node.bundles) != before {
			t.Errorf("%d attempts more after all had gone", len(node.bundles)-before)
		}
	})
}

func TestASlowCallHoldsUpNoOthers(t *testing.T) {
	node := &fakeNode{putall: []writeLine{held, applied(7)}, bundle: everyEntry}
	inBubble(t, node, func(t *testing.T, c *Client) {
		ctx, cancel := context.WithCancel(t.Context())
		slow := make(chan struct{})
		go func() {
			defer close(slow)
			_, _ = c.Put(ctx, []byte("slow"), nil)
		}()
		synctest.Wait()
		for range 3 {
			began := time.Now()
			if _, err := c.Put(t.Context(), []byte("k"), nil); err != nil || time.Since(began) > lanePatience {
				t.Errorf("%v after %v", err, time.Since(began))
			}
		}
		cancel()
		<-slow
	})
}

func TestAFullBundleGoesAtOnce(t *testing.T) {
	node := &fakeNode{putall: []writeLine{slowly(time.Second, applied(7))}, bundle: everyEntry}
	inBubble(t, node, func(t *testing.T, c *Client) {
		var wait sync.WaitGroup
		wait.Go(func() { _, _ = c.Put(t.Context(), []byte("first"), nil) })
		synctest.Wait()
		began := time.Now()
		for range maxBundleEntries {
			wait.Go(func() {
				if _, err := c.Put(t.Context(), []byte("k"), nil); err != nil || time.Since(began) != 0 {
					t.Errorf("%v after %v", err, time.Since(began))
				}
			})
		}
		wait.Wait()
		if len(node.bundles) != 1 || len(node.bundles[0].GetEntries()) != maxBundleEntries {
			t.Errorf("%d bundles", len(node.bundles))
		}
	})
}

// TestCallsWithWishesOfTheirOwnGoByThemselves: what they ask for would concern the others too.
func TestCallsWithWishesOfTheirOwnGoByThemselves(t *testing.T) {
	node := &fakeNode{putall: []writeLine{slowly(time.Millisecond, applied(7))}, bundle: everyEntry}
	inBubble(t, node, func(t *testing.T, c *Client) {
		var wait sync.WaitGroup
		put := func(ctx context.Context, value []byte, opts ...WriteOption) {
			wait.Go(func() {
				if _, err := c.Put(ctx, []byte("k"), value, opts...); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		put(t.Context(), nil)
		alone := []WriteOption{WithRequestID("own"), IfMatch("*"), IfNoneMatch("*"), At(sheaf.Eventual), WithoutRetry()}
		for _, opt := range alone {
			put(t.Context(), nil, opt)
		}
		put(t.Context(), make([]byte, maxRiderBytes))
		put(metadata.AppendToOutgoingContext(t.Context(), "token", "mine"), nil)
		if len(node.writes) != len(alone)+3 {
			t.Errorf("%d batches, want %d", len(node.writes), len(alone)+3)
		}
		put(t.Context(), nil, WithTTL(time.Second), After(3))
		put(t.Context(), nil, After(5))
		wait.Wait()
		if b := node.bundles[0]; len(b.GetEntries()) != 2 || b.GetEntries()[0].GetTtlMs() != 1000 || b.GetEntries()[1].GetTtlMs() != 0 || b.GetAfter() != 5 {
			t.Errorf("%v", b)
		}
	})
}

func TestCloseAnswersWhoWaits(t *testing.T) {
	node := &fakeNode{
		putall: []writeLine{slowly(time.Millisecond, applied(7)), held},
		bundle: func(int, *sheafv1.PutBundleRequest) (*sheafv1.PutBundleResponse, error) {
			return nil, refusal(sheaf.NotLeader, retryInfo(10*time.Second))
		},
	}
	inBubble(t, node, func(t *testing.T, c *Client) {
		var wait sync.WaitGroup
		for range 4 {
			wait.Go(func() { _, _ = c.Put(t.Context(), []byte("k"), nil) })
			synctest.Wait()
		}
		time.Sleep(2 * time.Millisecond) // the bundle waits for its next attempt
		wait.Go(func() { _, _ = c.Put(t.Context(), []byte("k"), nil) })
		synctest.Wait()
		began := time.Now()
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		wait.Wait()
		if time.Since(began) != 0 {
			t.Errorf("it took %v", time.Since(began))
		}
	})
}

// raceDetector is set when the tests run under it.
var raceDetector bool

// TestGatheringAllocatesForABundleAndNotForACall counts what the lane itself allocates for 64
// calls in one bundle: the bundle, its context and its list, 7 in all. A GC empties pools.
func TestGatheringAllocatesForABundleAndNotForACall(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector empties pools")
	}
	c := &Client{timeout: time.Minute}
	c.openLanes()
	defer c.closeLanes()
	l := &c.lanes.writes[0][0]
	l.send = func(b *bundle) {
		b.answer()
		b.drop()
	}
	entry := sheaf.Put("key", "value")
	var waiting [64]*rider
	allocs := testing.AllocsPerRun(1000, func() {
		l.enter(context.Background(), "put", 0, nil)
		for i := range waiting {
			waiting[i] = l.enter(context.Background(), "put", 0, func(dst []byte) []byte { return appendEntry(dst, &entry, 0) })
		}
		l.leave()
		for _, r := range waiting {
			if gone := c.await(context.Background(), r); gone != nil {
				t.Error(gone)
			}
			l.reuse(r)
		}
		c.running.Wait()
	})
	if allocs > 10 {
		t.Errorf("%v allocations for %d calls", allocs, len(waiting))
	}
}
