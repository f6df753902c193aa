package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sheafdb/sheaf"
	sheafv1 "github.com/sheafdb/sheaf/api/sheaf/v1"
)

// TestABundleIsRetriedAsItIs, also for the sake of some of it: what was told of the others stays.
func TestABundleIsRetriedAsItIs(t *testing.T) {
	node := &fakeNode{
		putall: []writeLine{slowly(time.Millisecond, applied(7))},
		bundle: func(n int, req *sheafv1.PutBundleRequest) (*sheafv1.PutBundleResponse, error) {
			resp, _ := everyEntry(n, req)
			switch n {
			case 0:
				return nil, status.Error(codes.Unavailable, "lost")
			case 1:
				resp.Outcomes[1] = told(sheaf.NotLeader)
			default:
				resp.Outcomes[0], resp.Replayed = told(sheaf.NotLeader), true
			}
			return resp, nil
		},
	}
	inBubble(t, node, func(t *testing.T, c *Client) {
		for i, got := range putMany(t.Context(), c, 3) {
			if got.err != nil || got.result.Attempts != 2+i%2 || got.result.Replayed != (i == 1) || got.result.Version != 100+uint64(i) {
				t.Errorf("%d: %+v, %v", i, got.result, got.err)
			}
		}
		sent := node.raw[1:] // the first is the batch
		if len(sent) != 3 || !bytes.Equal(sent[0], sent[1]) || !bytes.Equal(sent[0], sent[2]) {
			t.Errorf("%d attempts, or with other bytes", len(sent))
		}
	})
}

// TestWhatIsUndecidedAtTheEndIsAnError, and what is decided is none.
func TestWhatIsUndecidedAtTheEndIsAnError(t *testing.T) {
	node := &fakeNode{
		putall: []writeLine{slowly(time.Millisecond, applied(7))},
		bundle: func(n int, req *sheafv1.PutBundleRequest) (*sheafv1.PutBundleResponse, error) {
			resp, _ := everyEntry(n, req)
			resp.Outcomes[1] = told(sheaf.OutcomeUnknown)
			return resp, nil
		},
	}
	inBubble(t, node, func(t *testing.T, c *Client) {
		got := putMany(t.Context(), c, 3)
		if got[0].err != nil || got[2].err != nil || !errors.Is(got[1].err, sheaf.OutcomeUnknown) {
			t.Errorf("%v, %v, %v", got[0].err, got[1].err, got[2].err)
		}
		if e := sheaf.AsError(got[1].err); e.Op != "put" || got[1].result.RequestID == "" {
			t.Errorf("%+v, %+v", e, got[1].result)
		}
	}, WithTimeout(10*time.Second))
}

// TestOneBadWriteDoesNotFailItsNeighbours: the bundle is taken apart.
// TestWhatMayBeAppliedIsToldAsThat, whatever is known of those beside it.
func TestWhatMayBeAppliedIsToldAsThat(t *testing.T) {
	node := &fakeNode{
		putall: []writeLine{slowly(time.Millisecond, applied(7))},
		bundle: func(n int, req *sheafv1.PutBundleRequest) (*sheafv1.PutBundleResponse, error) {
			if n > 0 {
				return nil, refusal(sheaf.RateLimited, retryInfo(time.Hour))
			}
			resp, err := everyEntry(n, req)
			resp.Outcomes[0], resp.Outcomes[1] = told(sheaf.OutcomeUnknown), told(sheaf.NotLeader)
			return resp, err
		},
	}
	inBubble(t, node, func(t *testing.T, c *Client) {
		if got := putMany(t.Context(), c, 3); sheaf.CodeOf(got[0].err) != sheaf.OutcomeUnknown {
			t.Errorf("got %v", got[0].err)
		}
	}, WithTimeout(10*time.Second))
}

func TestOneBadWriteDoesNotFailItsNeighbours(t *testing.T) {
	node := &fakeNode{
		putall: []writeLine{slowly(time.Millisecond, func(_ context.Context, _ *fakeNode, req *sheafv1.PutAllRequest) (*sheafv1.PutAllResponse, error) {
			if string(req.GetEntries()[0].GetKey()) == "k1" {
				return nil, refusal(sheaf.InvalidBatch)
			}
			return &sheafv1.PutAllResponse{Version: 9}, nil
		})},
		bundle: func(int, *sheafv1.PutBundleRequest) (*sheafv1.PutBundleResponse, error) {
			return nil, refusal(sheaf.InvalidBatch)
		},
	}
	inBubble(t, node, func(t *testing.T, c *Client) {
		for i, got := range putMany(t.Context(), c, 3) {
			if bad := errors.Is(got.err, sheaf.InvalidBatch); bad != (i == 1) || !bad && got.result.Version != 9 {
				t.Errorf("%d: %+v, %v", i, got.result, got.err)
			}
		}
	})
}

func TestBundlesBecomeAsSmallAsTheNodeTakesThem(t *testing.T) {
	node := &fakeNode{
		putall: []writeLine{slowly(time.Millisecond, applied(7))},
		bundle: func(n int, req *sheafv1.PutBundleRequest) (*sheafv1.PutBundleResponse, error) {
			if len(req.GetEntries()) > 3 {
				return nil, refusal(sheaf.BatchTooLarge)
			}
			return everyEntry(n, req)
		},
	}
	inBubble(t, node, func(t *testing.T, c *Client) {
		for range 3 {
			for i, got := range putMany(t.Context(), c, 12) {
				if got.err != nil {
					t.Errorf("%d: %v", i, got.err)
				}
			}
		}
		if last := node.bundles[len(node.bundles)-1]; len(last.GetEntries()) != 3 {
			t.Errorf("the last has %d entries", len(last.GetEntries()))
		}
	})
}

func TestANodeThatDoesNotKnowBundlesIsSentNone(t *testing.T) {
	node := &fakeNode{putall: []writeLine{slowly(time.Millisecond, applied(7))}}
	inBubble(t, node, func(t *testing.T, c *Client) {
		for range 2 {
			for i, got := range putMany(t.Context(), c, 3) {
				if got.err != nil || got.result.Version != 7 {
					t.Errorf("%d: %+v, %v", i, got.result, got.err)
				}
			}
		}
		if !c.noBundles.Load() || len(node.writes) != 8 {
			t.Errorf("%d batches", len(node.writes))
		}
	})
}

func TestReadsAtTheSameTimeGoTogether(t *testing.T) {
	node := &fakeNode{getall: []line[*sheafv1.GetAllRequest, *sheafv1.GetAllResponse]{func(_ context.Context, _ *fakeNode, req *sheafv1.GetAllRequest) (*sheafv1.GetAllResponse, error) {
		time.Sleep(time.Millisecond)
		resp := &sheafv1.GetAllResponse{}
		for _, key := range req.GetKeys() {
			resp.Entries = append(resp.Entries, &sheafv1.Item{Key: key, Value: append([]byte("of "), key...), Version: 3, Found: string(key) != "k1"})
		}
		return resp, nil
	}}}
	inBubble(t, node, func(t *testing.T, c *Client) {
		var wait sync.WaitGroup
		for i := range 5 {
			wait.Go(func() {
				key := fmt.Sprint("k", i)
				item, err := c.Get(t.Context(), []byte(key))
				switch {
				case i == 1:
					if !errors.Is(err, sheaf.NotFound) {
						t.Errorf("%d: %v", i, err)
					}
				case err != nil || string(item.Value) != "of "+key || string(item.Key) != key || item.Version != 3:
					t.Errorf("%d: %+v, %v", i, item, err)
				case i > 0 && cap(item.Value) > 64:
					t.Errorf("%d: the value is part of %d bytes", i, cap(item.Value))
				}
			})
			synctest.Wait()
		}
		wait.Wait()
		if len(node.reads) != 2 || len(node.reads[1].GetKeys()) != 4 {
			t.Errorf("%d reads: %v", len(node.reads), node.reads)
		}
	})
}

// TestReadsOfLargeValuesGoByThemselves once it is known that they are large.
func TestReadsOfLargeValuesGoByThemselves(t *testing.T) {
	node := &fakeNode{getall: []line[*sheafv1.GetAllRequest, *sheafv1.GetAllResponse]{func(_ context.Context, _ *fakeNode, req *sheafv1.GetAllRequest) (*sheafv1.GetAllResponse, error) {
		time.Sleep(time.Millisecond)
		resp := &sheafv1.GetAllResponse{}
		if len(req.GetKeys()) > 1 {
			return nil, refusal(sheaf.BatchTooLarge)
		}
		for _, key := range req.GetKeys() {
			resp.Entries = append(resp.Entries, &sheafv1.Item{Key: key, Value: make([]byte, 10), Found: true})
		}
		return resp, nil
	}}}
	inBubble(t, node, func(t *testing.T, c *Client) {
		var wait sync.WaitGroup
		for range 2 {
			for range 5 {
				wait.Go(func() {
					if item, err := c.Get(t.Context(), []byte("k")); err != nil || len(item.Value) != 10 {
						t.Errorf("%+v, %v", item, err)
					}
				})
				synctest.Wait()
			}
			wait.Wait()
		}
		if len(node.reads) != 1+1+4+5 {
			t.Errorf("%d reads", len(node.reads))
		}
	})
}
