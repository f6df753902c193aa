package client

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/sheafdb/sheaf"
	sheafv1 "github.com/sheafdb/sheaf/api/sheaf/v1"
)

func TestResultTellsTheAnswerAndItsStages(t *testing.T) {
	node := &fakeNode{putall: []writeLine{func(ctx context.Context, _ *fakeNode, _ *sheafv1.PutAllRequest) (*sheafv1.PutAllResponse, error) {
		_ = grpc.SetTrailer(ctx, metadata.Pairs("server-timing", "decode;dur=1.500, log;dur=20.000, network;dur=9, tea;dur=3"))
		time.Sleep(50 * time.Millisecond) // the bubble's clock: a round trip of exactly this
		return &sheafv1.PutAllResponse{Version: 8, Etag: `"e"`, Replayed: true}, nil
	}}}
	inBubble(t, node, func(t *testing.T, c *Client) {
		got, err := c.PutAll(t.Context(), someEntries, WithRequestID("mine"))
		if err != nil {
			t.Fatal(err)
		}
		want := Result{
			Version: 8, ETag: `"e"`, Replayed: true, RequestID: "mine", Attempts: 1,
			Stages: []Stage{
				{"serialize", 0},
				{"network", 28500 * time.Microsecond},
				{"decode", 1500 * time.Microsecond},
				{"log", 20 * time.Millisecond},
			},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestEventualWriteIsAccepted(t *testing.T) {
	node := &fakeNode{putall: []writeLine{func(context.Context, *fakeNode, *sheafv1.PutAllRequest) (*sheafv1.PutAllResponse, error) {
		return &sheafv1.PutAllResponse{Accepted: true}, nil
	}}}
	inBubble(t, node, func(t *testing.T, c *Client) {
		got, err := c.Put(t.Context(), []byte("k"), []byte("v"), At(sheaf.Eventual), WithTTL(time.Second))
		if err != nil || !got.Accepted || got.Version != 0 || got.ETag != "" {
			t.Errorf("got %+v, %v", got, err)
		}
		if w := node.writes[0]; w.GetConsistency() != sheafv1.Consistency_CONSISTENCY_EVENTUAL || w.GetEntries()[0].GetTtlMs() != 1000 {
			t.Errorf("sent %v", w)
		}
	})
}

func TestEmptyConditionsAreRefusedHere(t *testing.T) {
	node := &fakeNode{putall: []writeLine{applied(1)}}
	inBubble(t, node, func(t *testing.T, c *Client) {
		for field, opt := range map[string]WriteOption{
			"request_id": WithRequestID(""), "if_match": IfMatch(""), "if_none_match": IfNoneMatch(""),
		} {
			_, err := c.PutAll(t.Context(), someEntries, opt)
			e := sheaf.AsError(err)
			if e == nil || e.Code != sheaf.InvalidBatch || len(e.Fields) != 1 || e.Fields[0].Field != field {
				t.Errorf("empty %s: got %v", field, err)
			}
		}
		if len(node.writes) != 0 {
			t.Errorf("%d requests were sent as if they had no condition", len(node.writes))
		}
	})
}

func TestDeletesAreWritesOfDeletes(t *testing.T) {
	node := &fakeNode{putall: []writeLine{applied(1)}}
	inBubble(t, node, func(t *testing.T, c *Client) {
		if _, err := c.DeleteAll(t.Context(), [][]byte{[]byte("a"), []byte("b")}, IfMatch("*"), WithTTL(time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Delete(t.Context(), []byte("c")); err != nil {
			t.Fatal(err)
		}
		var keys []string
		for _, w := range node.writes {
			for _, e := range w.GetEntries() {
				if !e.GetDelete() || e.GetTtlMs() != 0 {
					t.Errorf("sent %v, want a delete", e)
				}
				keys = append(keys, string(e.GetKey()))
			}
		}
		if diff := cmp.Diff([]string{"a", "b", "c"}, keys); diff != "" {
			t.Error(diff)
		}
		if node.writes[0].GetIfMatch() != "*" {
			t.Errorf("sent %v without its condition", node.writes[0])
		}
	})
}

func TestEachWriteHasAFreshRequestID(t *testing.T) {
	node := &fakeNode{putall: []writeLine{applied(1)}}
	inBubble(t, node, func(t *testing.T, c *Client) {
		seen := map[sheaf.RequestID]bool{}
		for range 100 {
			result, err := c.PutAll(t.Context(), someEntries)
			if err != nil || result.RequestID.Validate() != nil || seen[result.RequestID] {
				t.Fatalf("got %+v, %v", result, err)
			}
			seen[result.RequestID] = true
			// The bubble's clock is years behind the one the package uuid saw
			// before: the ID must follow the clock back.
			if issued, ok := result.RequestID.IssueTime(); !ok || issued.UnixMilli() != time.Now().UnixMilli() {
				t.Fatalf("%q was issued at %v, %v; want now, %v", result.RequestID, issued, ok, time.Now())
			}
		}
	})
}

func TestTraceContextTravelsOnlyWhenAsked(t *testing.T) {
	for _, traced := range []bool{false, true} {
		var opts []Option
		if traced {
			opts = append(opts, WithTracerProvider(sdktrace.NewTracerProvider()))
		}
		node := &fakeNode{putall: []writeLine{applied(1)}}
		inBubble(t, node, func(t *testing.T, c *Client) {
			if _, err := c.PutAll(t.Context(), someEntries); err != nil {
				t.Fatal(err)
			}
			if got := len(node.md[0].Get("traceparent")) == 1; got != traced {
				t.Errorf("trace context sent: %v, want %v", got, traced)
			}
		}, opts...)
	}
}

func TestStatus(t *testing.T) {
	inBubble(t, &fakeNode{}, func(t *testing.T, c *Client) {
		got, err := c.Status(t.Context())
		if err != nil || got.GetState() != "serving" {
			t.Errorf("got %v, %v", got, err)
		}
	})
}
