package client

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/sheafdb/sheaf"
)

// tell makes a line that answers after 50 ms and tells the server's stages.
func tell[Req, Resp any](next line[Req, Resp]) line[Req, Resp] {
	return func(ctx context.Context, n *fakeNode, req Req) (Resp, error) {
		_ = grpc.SetTrailer(ctx, metadata.Pairs(serverTimingKey, "decode;dur=2.000, log;dur=20.000, apply;dur=8.000"))
		<-time.After(50 * time.Millisecond)
		return next(ctx, n, req)
	}
}

// node of a tree of spans.
type spanTree struct {
	Name     string
	From, To time.Duration // since the beginning of the test
	Below    []spanTree
}

// tree joins spans, in the order in which they began.
func tree(spans tracetest.SpanStubs, begun time.Time) []spanTree {
	var below func(parent [8]byte) []spanTree
	below = func(parent [8]byte) []spanTree {
		var nodes []spanTree
		for _, s := range spans {
			if s.Parent.SpanID() == parent {
				nodes = append(nodes, spanTree{s.Name, s.StartTime.Sub(begun), s.EndTime.Sub(begun), below(s.SpanContext.SpanID())})
			}
		}
		return nodes
	}
	return below([8]byte{})
}

func TestOneTraceExplainsASlowPutAll(t *testing.T) {
	const ms = time.Millisecond
	exporter := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter))
	node := &fakeNode{putall: []writeLine{refused(sheaf.RateLimited, retryInfo(time.Second)), tell(applied(1))}}
	inBubble(t, node, func(t *testing.T, c *Client) {
		begun := time.Now()
		result, err := c.PutAll(t.Context(), someEntries)
		if err != nil {
			t.Fatal(err)
		}
		took := time.Since(begun)
		second := took - 50*ms
		want := []spanTree{{"sheaf.putall", 0, took, []spanTree{
			{"sheaf.v1.KVService/PutAll", 0, 0, nil},
			{"sheaf.v1.KVService/PutAll", second, took, nil},
			{"serialize", 0, 0, nil},
			{"network", second, took, []spanTree{
				{"decode", second + 10*ms, second + 12*ms, nil},
				{"log", second + 12*ms, second + 32*ms, nil},
				{"apply", second + 32*ms, second + 40*ms, nil},
			}},
		}}}
		spans := exporter.GetSpans()
		if diff := cmp.Diff(want, tree(spans, begun)); diff != "" {
			t.Error(diff)
		}
		call := spans[len(spans)-1]
		attributes := map[string]any{}
		for _, a := range call.Attributes {
			attributes[string(a.Key)] = a.Value.AsInterface()
		}
		if diff := cmp.Diff(map[string]any{"sheaf.attempts": int64(2), "sheaf.request_id": string(result.RequestID)}, attributes); diff != "" {
			t.Error(diff)
		}
		if len(call.Events) != 1 || call.Events[0].Name != "retry" || call.Events[0].Attributes[0].Value.AsString() != "RATE_LIMITED" {
			t.Errorf("the retry is told as %+v", call.Events)
		}
	}, WithTracerProvider(provider))
}

func TestAReadIsTracedToo(t *testing.T) {
	exporter := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter))
	node := &fakeNode{getall: []readLine{tell(holding(`"e"`, nil)), unread(refusal(sheaf.InvalidBatch))}}
	inBubble(t, node, func(t *testing.T, c *Client) {
		ctx, mine := provider.Tracer("test").Start(t.Context(), "mine")
		if _, err := c.GetAll(ctx, keysOf("a")); err != nil {
			t.Fatal(err)
		}
		mine.End()
		got := tree(exporter.GetSpans(), time.Now())
		if len(got) != 1 || got[0].Name != "mine" || len(got[0].Below) != 1 || got[0].Below[0].Name != "sheaf.getall" {
			t.Fatalf("got %+v, want the call below the caller's span", got)
		}
		below := got[0].Below[0].Below
		if len(below) != 2 || below[1].Name != "network" || len(below[1].Below) != 3 {
			t.Errorf("the call has %+v", below)
		}

		exporter.Reset()
		if _, err := c.GetAll(t.Context(), keysOf("a")); err == nil {
			t.Fatal("no error")
		}
		spans := exporter.GetSpans()
		if call := spans[len(spans)-1]; call.Status.Code != codes.Error || call.Status.Description != "INVALID_BATCH" || len(call.Events) != 1 {
			t.Errorf("a call that failed is %+v with events %+v", call.Status, call.Events)
		}
	}, WithTracerProvider(provider))
}

func TestWithoutAProviderTracingAllocatesNothing(t *testing.T) {
	c, err := New("127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}()
	answer := func(context.Context, *grpc.ClientConn, ...grpc.CallOption) (bool, error) { return true, nil }
	allocations := func(run func(context.Context, *call, send) (answered, error)) float64 {
		return testing.AllocsPerRun(100, func() {
			if _, err := run(t.Context(), c.newCall("putall"), answer); err != nil {
				t.Fatal(err)
			}
		})
	}
	if with, without := allocations(c.run), allocations(c.attempts); with != without {
		t.Errorf("%v allocations where %v do", with, without)
	}
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(tracetest.NewNoopExporter()))
	c.tracer = provider.Tracer("counterproof")
	if with, without := allocations(c.run), allocations(c.attempts); with <= without {
		t.Errorf("a traced call has %v allocations, an untraced one %v: this test sees nothing", with, without)
	}
}
