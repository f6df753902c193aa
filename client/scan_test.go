package client

import (
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sheafdb/sheaf"
	sheafv1 "github.com/sheafdb/sheaf/api/sheaf/v1"
)

type scanStream = grpc.ServerStreamingServer[sheafv1.ScanResponse]

// brittle is a scan of the keys 00 to 19 that sends pages of two and breaks
// after each, in turns by a bare status and by an error of the table.
// With deaf set it ignores where the client wants to start.
type brittle struct {
	deaf   bool
	starts []string
}

func (b *brittle) scan(req *sheafv1.ScanRequest, stream scanStream) error {
	b.starts = append(b.starts, string(req.GetStart()))
	var page []*sheafv1.Item
	sent := uint64(0)
	for i := range 20 {
		key := fmt.Sprintf("%02d", i)
		if key < string(req.GetStart()) && !b.deaf {
			continue
		}
		page = append(page, &sheafv1.Item{Key: []byte(key), Version: uint64(i + 1), Found: true})
		sent++
		if req.GetLimit() == sent || (len(page) == 2 && !b.deaf) {
			break
		}
	}
	if len(page) == 0 {
		return nil
	}
	if err := stream.Send(&sheafv1.ScanResponse{Entries: page}); err != nil {
		return err
	}
	switch {
	case req.GetLimit() == sent:
		return nil
	case b.deaf && len(b.starts) > 1:
		return nil
	case len(b.starts)%2 == 0:
		return refusal(sheaf.Draining)
	}
	return status.Error(codes.Unavailable, "bare")
}

func collect(t *testing.T, c *Client, o ScanOptions) []string {
	t.Helper()
	var keys []string
	for item, err := range c.Scan(t.Context(), o) {
		if err != nil {
			t.Fatal(err)
		}
		if !item.Found || item.Version == 0 {
			t.Errorf("yielded %+v", item)
		}
		keys = append(keys, string(item.Key))
	}
	return keys
}

func numbers(from, to int) []string {
	var keys []string
	for i := from; i < to; i++ {
		keys = append(keys, fmt.Sprintf("%02d", i))
	}
	return keys
}

func TestScanResumesBehindTheLastKey(t *testing.T) {
	b := &brittle{}
	inBubble(t, &fakeNode{scan: b.scan}, func(t *testing.T, c *Client) {
		if diff := cmp.Diff(numbers(3, 20), collect(t, c, ScanOptions{Start: []byte("03")})); diff != "" {
			t.Error(diff)
		}
		if b.starts[0] != "03" || b.starts[1] != "04\x00" {
			t.Errorf("started at %q", b.starts)
		}
	}, WithRetry(RetryPolicy{MaxAttempts: 2})) // per key received, not in all
}

func TestScanSurvivesLostConnections(t *testing.T) {
	node := &fakeNode{}
	var streams atomic.Int64
	node.scan = func(req *sheafv1.ScanRequest, stream scanStream) error {
		last := streams.Add(1) == 4
		sent := 0
		for _, key := range numbers(0, 20) {
			if key < string(req.GetStart()) {
				continue
			}
			if err := stream.Send(&sheafv1.ScanResponse{Entries: []*sheafv1.Item{{Key: []byte(key), Version: 1, Found: true}}}); err != nil {
				return err
			}
			// Whether the last of these arrive or not, the next stream begins
			// where the client stands.
			if sent++; sent == 3 && !last {
				node.listener.cut()
				<-stream.Context().Done()
				return stream.Context().Err()
			}
		}
		return nil
	}
	inBubble(t, node, func(t *testing.T, c *Client) {
		if diff := cmp.Diff(numbers(0, 20), collect(t, c, ScanOptions{})); diff != "" {
			t.Error(diff)
		}
		if streams.Load() != 4 {
			t.Errorf("%d streams, want 4", streams.Load())
		}
	})
}

func TestScanKeepsItsLimitOverResumptions(t *testing.T) {
	b := &brittle{}
	inBubble(t, &fakeNode{scan: b.scan}, func(t *testing.T, c *Client) {
		if diff := cmp.Diff(numbers(0, 7), collect(t, c, ScanOptions{Limit: 7})); diff != "" {
			t.Error(diff)
		}
	})
}

func TestScanNeverYieldsAKeyTwice(t *testing.T) {
	b := &brittle{deaf: true}
	inBubble(t, &fakeNode{scan: b.scan}, func(t *testing.T, c *Client) {
		if diff := cmp.Diff(numbers(0, 20), collect(t, c, ScanOptions{})); diff != "" {
			t.Error(diff)
		}
	})
}

func TestScanEndsWithItsError(t *testing.T) {
	node := &fakeNode{scan: func(_ *sheafv1.ScanRequest, stream scanStream) error {
		_ = stream.Send(&sheafv1.ScanResponse{Entries: []*sheafv1.Item{{Key: []byte("a"), Found: true}}})
		return refusal(sheaf.PermissionDenied)
	}}
	inBubble(t, node, func(t *testing.T, c *Client) {
		var items, failures int
		for _, err := range c.Scan(t.Context(), ScanOptions{}) {
			if err == nil {
				items++
			} else if failures++; sheaf.CodeOf(err) != sheaf.PermissionDenied {
				t.Errorf("got %v, want PERMISSION_DENIED", err)
			}
		}
		if items != 1 || failures != 1 {
			t.Errorf("yielded %d items and %d errors, want one of each", items, failures)
		}
	})
}

func TestScanGivesUpWithoutProgress(t *testing.T) {
	streams := 0
	node := &fakeNode{scan: func(*sheafv1.ScanRequest, scanStream) error {
		streams++
		return refusal(sheaf.Draining)
	}}
	inBubble(t, node, func(t *testing.T, c *Client) {
		for _, err := range c.Scan(t.Context(), ScanOptions{}) {
			if sheaf.CodeOf(err) != sheaf.Draining {
				t.Errorf("got %v, want DRAINING", err)
			}
		}
		if streams != 4 {
			t.Errorf("%d attempts, want 4", streams)
		}
	}, WithRetry(RetryPolicy{MaxAttempts: 4}))
}

func TestScanThatIsBrokenOffEndsItsStream(t *testing.T) {
	var ended atomic.Bool
	node := &fakeNode{scan: func(_ *sheafv1.ScanRequest, stream scanStream) error {
		_ = stream.Send(&sheafv1.ScanResponse{Entries: []*sheafv1.Item{{Key: []byte("a"), Found: true}}})
		<-stream.Context().Done()
		ended.Store(true)
		return stream.Context().Err()
	}}
	inBubble(t, node, func(t *testing.T, c *Client) {
		for range c.Scan(t.Context(), ScanOptions{}) {
			break
		}
		synctest.Wait()
		if !ended.Load() {
			t.Error("the server still sends")
		}
	})
}
