package contract

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/sheafdb/sheaf"
	sheafv1 "github.com/sheafdb/sheaf/api/sheaf/v1"
)

type putStream = grpc.BidiStreamingClient[sheafv1.PutStreamRequest, sheafv1.PutStreamResponse]

// openPutStream returns a stream behind its first message.
func openPutStream(t testing.TB, n *target) putStream {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	stream, err := n.kv.PutStream(ctx)
	if err != nil {
		t.Fatal(err)
	}
	first, err := stream.Recv()
	if err != nil || first.WindowBytes == 0 || first.AdvisedEntries == 0 || first.RequestId != "" {
		t.Fatalf("the first message: %v, %v", first, err)
	}
	return stream
}

func streamed(id string, entries ...string) *sheafv1.PutStreamRequest {
	req := &sheafv1.PutStreamRequest{RequestId: id}
	for _, e := range puts(entries...) {
		req.Entries = append(req.Entries, &sheafv1.Entry{Key: e.Key, Value: e.Value, Delete: e.Delete})
	}
	return req
}

// refusedIn is the refusal in an answer of a stream, held against the table.
func refusedIn(t testing.TB, got *sheafv1.PutStreamResponse) *refusal {
	t.Helper()
	var st spb.Status
	if err := proto.Unmarshal(got.Status, &st); err != nil || len(got.Status) == 0 {
		t.Fatalf("%v is no refusal (%v)", got, err)
	}
	return grpcRefusal(t, status.ErrorProto(&st))
}

// TestAStreamAnswersItsBatchesInTheirOrder: all are sent before any answer is read.
func TestAStreamAnswersItsBatchesInTheirOrder(t *testing.T) {
	n := sharedNode(t, "pebble")
	stream := openPutStream(t, n)
	const batches = 300
	for i := range batches {
		own := fmt.Sprintf("stream-order-%d", i)
		if err := stream.Send(streamed(own, own+"=x", fmt.Sprintf("stream-order=%d", i))); err != nil {
			t.Fatal(err)
		}
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	last := uint64(0)
	for i := range batches {
		got, err := stream.Recv()
		if err != nil || got.RequestId != fmt.Sprintf("stream-order-%d", i) || got.Etag == "" || got.Replayed {
			t.Fatalf("answer %d: %v, %v", i, got, err)
		}
		if got.Version <= last { // they share a key
			t.Errorf("batch %d has version %d, that before it %d", i, got.Version, last)
		}
		last = got.Version
	}
	if _, err := stream.Recv(); err != io.EOF {
		t.Errorf("the stream ended with %v", err)
	}
	got := must(t, grpcFace{n}, call{op: getKey, keys: []string{"stream-order"}})
	if got.items[0].value != fmt.Sprint(batches-1) || got.items[0].version != last {
		t.Errorf("the key that all share: %v at %d, answered %d", got.items[0], got.items[0].version, last)
	}
}

// TestABatchOfAStreamIsABatch: request IDs, conditions and refusals are those of PutAll, and a refusal
// is not the stream's end.
func TestABatchOfAStreamIsABatch(t *testing.T) {
	n := sharedNode(t, "memory")
	must(t, grpcFace{n}, call{id: "stream-unary", entries: puts("stream-unary=1")})
	stream := openPutStream(t, n)
	exchange := func(req *sheafv1.PutStreamRequest) *sheafv1.PutStreamResponse {
		t.Helper()
		if err := stream.Send(req); err != nil {
			t.Fatal(err)
		}
		got, err := stream.Recv()
		if err != nil || got.RequestId != req.RequestId {
			t.Fatalf("%v, %v", got, err)
		}
		return got
	}
	if got := exchange(streamed("stream-unary", "stream-unary=1")); !got.Replayed || got.Version == 0 {
		t.Errorf("a batch that PutAll has written: %v", got)
	}
	for _, c := range []struct {
		req  *sheafv1.PutStreamRequest
		want sheaf.Code
	}{
		{streamed("", "stream-x=1"), sheaf.RequestIDRequired},
		{streamed("stream-empty"), sheaf.InvalidBatch},
		{streamed("stream-twice", "k=1", "k=2"), sheaf.InvalidBatch},
		{streamed("stream-unary", "stream-unary=2"), sheaf.RequestIDReused},
	} {
		if got := refusedIn(t, exchange(c.req)); got.code != c.want {
			t.Errorf("%q: %s (%s), want %s", c.req.RequestId, got.code, got.detail, c.want)
		}
	}
	conditional := streamed("stream-condition", "stream-unary=3")
	conditional.IfNoneMatch = "*"
	if got := refusedIn(t, exchange(conditional)); got.code != sheaf.ETagMismatch || got.currentETag == "" {
		t.Errorf("a condition that does not hold: %+v", got)
	}
	eventual := streamed("stream-eventual", "stream-eventual=1")
	eventual.Consistency = sheafv1.Consistency_CONSISTENCY_EVENTUAL
	if got := refusedIn(t, exchange(eventual)); got.code != sheaf.InvalidBatch || !strings.Contains(got.detail, "open a stream for each") {
		t.Errorf("at another level than the first: %+v", got)
	}
	if got := exchange(streamed("stream-good", "stream-good=1")); got.Version == 0 || len(got.Status) > 0 {
		t.Errorf("after all that: %v", got)
	}
	stream = openPutStream(t, n)
	if got := exchange(eventual); !got.Accepted || got.Version != 0 {
		t.Errorf("at EVENTUAL: %v", got)
	}
}

// TestAnImportIsThePutStreamOfHTTP: the batches of an import can be sent again over either face.
func TestAnImportIsThePutStreamOfHTTP(t *testing.T) {
	n := sharedNode(t, "pebble")
	body := `{"key":"import-a","value":"1"}` + "\n" + `{"key":"import-b","value":"2"}` + "\n" + `{"key":"import-c","value":"3"}` + "\n"
	got := httpFace{n}.send(t, "POST", "/v1/import?batch=2", []byte(body), "Idempotency-Key", "import-1")
	lines := strings.Split(strings.TrimSpace(string(got.body)), "\n")
	if got.StatusCode != 200 || len(lines) != 3 || lines[2] != `{"done":true,"batches":2,"entries":3,"failed":0}` {
		t.Fatalf("%d %s", got.StatusCode, got.body)
	}
	again := must(t, grpcFace{n}, call{id: "import-1/1", entries: puts("import-c=3")})
	if !again.replayed || !strings.Contains(lines[1], fmt.Sprintf(`"version":"%d"`, again.version)) {
		t.Errorf("batch 1 again: %+v, was %s", again, lines[1])
	}
	refused := httpFace{n}.send(t, "POST", "/v1/import", []byte(body))
	if r := httpRefusal(t, refused, call{}); r.code != sheaf.RequestIDRequired {
		t.Errorf("without an ID: %+v", r)
	}
}
