package rpc

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sheafdb/sheaf"
	sheafv1 "github.com/sheafdb/sheaf/api/sheaf/v1"
	"github.com/sheafdb/sheaf/internal/admission"
	"github.com/sheafdb/sheaf/internal/apply"
	"github.com/sheafdb/sheaf/internal/coordinator"
	"github.com/sheafdb/sheaf/internal/group"
	"github.com/sheafdb/sheaf/internal/telemetry"
	"github.com/sheafdb/sheaf/internal/wire"
)

// holding is a sink that keeps every batch until it is told to let one go.
type holding struct {
	sink
	let   chan struct{}
	begun chan struct{} // if not nil, gets one for each that has begun
}

func (h *holding) Propose(ctx context.Context, cmd *wire.Command) (apply.Result, group.Timing, error) {
	if h.begun != nil {
		h.begun <- struct{}{}
	}
	select {
	case <-h.let:
		return h.sink.Propose(ctx, cmd)
	case <-ctx.Done():
		return apply.Result{}, group.Timing{}, &sheaf.Error{Code: sheaf.NotProposed, Err: ctx.Err()}
	}
}

// streamRig is a node whose streams are under test.
type streamRig struct {
	*Server
	gate *admission.Gate
	kv   sheafv1.KVServiceClient
}

func newStreamRig(t *testing.T, g coordinator.Group, memory int64, times streamTimes) *streamRig {
	t.Helper()
	limits, logger := sheaf.DefaultLimits(), slog.New(slog.DiscardHandler)
	gate := admission.NewGate(memory)
	core := coordinator.New(coordinator.Config{
		Groups: []coordinator.Group{g}, Gate: gate, Limits: limits,
		EventualBytes: 1 << 20, EventualWindow: 20 * time.Millisecond, Logger: logger,
	})
	s := New(Config{
		Gate: gate, Limits: limits, Metrics: telemetry.NewMetrics(prometheus.NewRegistry()),
		Status: func() *sheafv1.GetStatusResponse { return &sheafv1.GetStatusResponse{} }, Logger: logger,
	})
	s.streams = times
	s.SetCore(core)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(listener) }()
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		s.Stop()
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
		awaitEmpty(t, gate)
		core.Close(context.Background())
	})
	return &streamRig{s, gate, sheafv1.NewKVServiceClient(conn)}
}

func awaitEmpty(t *testing.T, gate *admission.Gate) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; <-time.After(time.Millisecond) {
		now, _ := gate.InFlight()
		if now == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d bytes are still counted in flight", now)
		}
	}
}

type putStreamClient = grpc.BidiStreamingClient[sheafv1.PutStreamRequest, sheafv1.PutStreamResponse]

// open returns a stream and the window that it was granted.
func (r *streamRig) open(t *testing.T, pairs ...string) (putStreamClient, uint64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(metadata.AppendToOutgoingContext(context.Background(), pairs...), time.Minute)
	t.Cleanup(cancel)
	stream, err := r.kv.PutStream(ctx)
	if err != nil {
		t.Fatal(err)
	}
	first, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	if first.RequestId != "" || first.WindowBytes == 0 || first.AdvisedEntries == 0 {
		t.Fatalf("the first message is %v: want a window and advice alone", first)
	}
	return stream, first.WindowBytes
}

func request(id string, key string, valueBytes int) *sheafv1.PutStreamRequest {
	return &sheafv1.PutStreamRequest{RequestId: id, Entries: []*sheafv1.Entry{{Key: []byte(key), Value: make([]byte, valueBytes)}}}
}

func send(t *testing.T, stream putStreamClient, req *sheafv1.PutStreamRequest) {
	t.Helper()
	if err := stream.Send(req); err != nil {
		t.Fatal(err)
	}
}

// endsWith receives until the stream's end, whose status must be this.
func endsWith(t *testing.T, stream putStreamClient, code codes.Code, text string) (answers int) {
	t.Helper()
	for {
		_, err := stream.Recv()
		if err == nil {
			answers++
			continue
		}
		if err == io.EOF && code == codes.OK {
			return answers
		}
		if status.Code(err) != code || !strings.Contains(err.Error(), text) {
			t.Fatalf("the stream ended with %v, want %v: %s", err, code, text)
		}
		return answers
	}
}

func TestAWindowIsCountedForTheLifeOfItsStream(t *testing.T) {
	r := newStreamRig(t, &sink{}, 512<<20, defaultStreamTimes)
	stream, window := r.open(t)
	if now, _ := r.gate.InFlight(); now != int64(window) || window != streamWindowMost {
		t.Errorf("%d bytes are counted for a window of %d", now, window)
	}
	for i := range 100 {
		id := fmt.Sprint("batch-", i)
		send(t, stream, request(id, id, 100))
		if got, err := stream.Recv(); err != nil || got.RequestId != id || got.Version == 0 || len(got.Status) > 0 {
			t.Fatalf("batch %d: %v, %v", i, got, err)
		}
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	endsWith(t, stream, codes.OK, "")
	awaitEmpty(t, r.gate)
}

func TestWindowsShrinkWithTheMemoryThatIsFree(t *testing.T) {
	r := newStreamRig(t, &sink{}, 64<<20, defaultStreamTimes)
	last := uint64(1 << 62)
	for range 8 {
		_, window := r.open(t)
		if window >= last {
			t.Errorf("a window of %d after one of %d", window, last)
		}
		last = window
	}
	if now, limit := r.gate.InFlight(); now > limit*2/3 {
		t.Errorf("eight streams hold %d of %d bytes", now, limit)
	}
}

func TestAClientThatExceedsItsWindowIsRateLimited(t *testing.T) {
	h := &holding{let: make(chan struct{})}
	r := newStreamRig(t, h, 8<<20, defaultStreamTimes)
	stream, window := r.open(t)
	half := int(window)/2 + 1
	send(t, stream, request("1", "a", half))
	send(t, stream, request("2", "b", half))
	endsWith(t, stream, codes.ResourceExhausted, "the window is")
}

func TestABatchLargerThanTheWindowIsTakenAlone(t *testing.T) {
	r := newStreamRig(t, &sink{}, 64<<20, defaultStreamTimes)
	stream, window := r.open(t)
	send(t, stream, request("1", "a", int(window)+1000))
	if got, err := stream.Recv(); err != nil || got.RequestId != "1" || len(got.Status) > 0 {
		t.Fatalf("%v, %v", got, err)
	}
	// What does not fit in all memory is refused, and the stream goes on.
	send(t, stream, request("2", "b", 15<<20))
	large, err := stream.Recv()
	if err != nil || len(large.Status) > 0 {
		t.Fatalf("a batch of 15 MiB, where 56 are free: %v, %v", large, err)
	}
	if err := r.gate.Reserve(54 << 20); err != nil {
		t.Fatal(err)
	}
	send(t, stream, request("3", "c", 15<<20))
	refused, err := stream.Recv()
	if err != nil || !strings.Contains(string(refused.GetStatus()), string(sheaf.RateLimited)) {
		t.Fatalf("where there is no memory for it: %v, %v", refused, err)
	}
	r.gate.Release(54 << 20)
	send(t, stream, request("3", "c", 15<<20))
	if got, err := stream.Recv(); err != nil || got.RequestId != "3" || len(got.Status) > 0 {
		t.Fatalf("again: %v, %v", got, err)
	}
}

// TestABatchThatFindsNoMemoryIsNotPassed by one behind it with the same key.
func TestABatchThatFindsNoMemoryIsNotPassed(t *testing.T) {
	r := newStreamRig(t, &sink{}, 1<<20, defaultStreamTimes)
	stream, window := r.open(t)
	free := takeAll(r.gate)
	for _, b := range []struct {
		id    string
		bytes int
		want  sheaf.Code
	}{{"1", int(window) + 1000, sheaf.RateLimited}, {"2", 10, sheaf.Contention}} {
		send(t, stream, request(b.id, "k", b.bytes))
		if got, err := stream.Recv(); err != nil || got.RequestId != b.id || !strings.Contains(string(got.Status), string(b.want)) {
			t.Errorf("batch %s: %v, %v: want %s", b.id, got, err, b.want)
		}
	}
	free()
	if err := stream.CloseSend(); err != nil {
		t.Error(err)
	}
	endsWith(t, stream, codes.OK, "")
}

// takeAll leaves no memory to others until free is called.
func takeAll(gate *admission.Gate) (free func()) {
	var took int64
	for step := int64(1 << 30); step > 0; step /= 2 {
		for gate.Reserve(step) == nil {
			took += step
		}
	}
	return func() { gate.Release(took) }
}

func TestAnAnnouncedSizeIsGrantedAsTheWindow(t *testing.T) {
	r := newStreamRig(t, &sink{}, 256<<20, defaultStreamTimes)
	if _, window := r.open(t, sizeHeader, fmt.Sprint(40<<20)); window != 40<<20 {
		t.Errorf("the window is %d", window)
	}
	stream, err := r.kv.PutStream(metadata.AppendToOutgoingContext(t.Context(), sizeHeader, fmt.Sprint(1<<30)))
	if err != nil {
		t.Fatal(err)
	}
	endsWith(t, stream, codes.InvalidArgument, "split the batch")
}

func TestAPeerThatSendsNothingDoesNotKeepItsWindow(t *testing.T) {
	r := newStreamRig(t, &sink{}, 8<<20, streamTimes{idle: 20 * time.Millisecond, unread: time.Minute, look: time.Millisecond})
	stream, _ := r.open(t)
	endsWith(t, stream, codes.DeadlineExceeded, "nothing came for too long")
	awaitEmpty(t, r.gate)
}

func TestAStreamThatWaitsForItsBatchesIsNotIdle(t *testing.T) {
	h := &holding{let: make(chan struct{})}
	r := newStreamRig(t, h, 8<<20, streamTimes{idle: 20 * time.Millisecond, unread: time.Minute, look: time.Millisecond})
	stream, _ := r.open(t)
	send(t, stream, request("1", "a", 1))
	<-time.After(100 * time.Millisecond)
	h.let <- struct{}{}
	if got, err := stream.Recv(); err != nil || got.RequestId != "1" {
		t.Fatalf("%v, %v", got, err)
	}
}

func TestAPeerThatReadsNoAnswersDoesNotKeepItsWindow(t *testing.T) {
	r := newStreamRig(t, &sink{}, 8<<20, streamTimes{idle: time.Minute, unread: 20 * time.Millisecond, look: time.Millisecond})
	stream, _ := r.open(t)
	id := strings.Repeat("x", 120)
	go func() {
		// Until the answers fill what the client lets be sent to it. Then nothing can reach it any
		// more, not even the end of the stream.
		for i := 0; stream.Send(request(fmt.Sprintf("%s%07d", id, i), fmt.Sprint(i), 1)) == nil; i++ {
		}
	}()
	awaitEmpty(t, r.gate)
}

func TestADrainingNodeAnswersWhatItHasBegun(t *testing.T) {
	h := &holding{let: make(chan struct{}), begun: make(chan struct{}, 2)}
	r := newStreamRig(t, h, 8<<20, defaultStreamTimes)
	stream, _ := r.open(t)
	resting, _ := r.open(t)
	send(t, stream, request("1", "a", 1))
	send(t, stream, request("2", "b", 1))
	<-h.begun
	<-h.begun
	r.Drain()
	endsWith(t, resting, codes.Unavailable, "shutting down")
	close(h.let)
	if got := endsWith(t, stream, codes.Unavailable, "shutting down"); got != 2 {
		t.Errorf("%d of two batches that had begun were answered", got)
	}
}

func TestMalformedBatchesAreAnswersOfTheStream(t *testing.T) {
	r := newStreamRig(t, &sink{}, 8<<20, defaultStreamTimes)
	stream, _ := r.open(t)
	twice := request("twice", "a", 1)
	twice.Entries = append(twice.Entries, twice.Entries[0])
	for _, c := range []struct {
		req  *sheafv1.PutStreamRequest
		want sheaf.Code
	}{
		{&sheafv1.PutStreamRequest{RequestId: "empty"}, sheaf.InvalidBatch},
		{twice, sheaf.InvalidBatch},
		{request("", "a", 1), sheaf.RequestIDRequired},
		{&sheafv1.PutStreamRequest{RequestId: "level", Consistency: 9, Entries: twice.Entries[:1]}, sheaf.InvalidBatch},
	} {
		send(t, stream, c.req)
		got, err := stream.Recv()
		if err != nil || got.RequestId != c.req.RequestId || !strings.Contains(string(got.Status), string(c.want)) {
			t.Errorf("batch %q: %v, %v: want %s", c.req.RequestId, got, err, c.want)
		}
	}
	send(t, stream, request("good", "a", 1))
	if got, err := stream.Recv(); err != nil || got.Version == 0 {
		t.Errorf("after them: %v, %v", got, err)
	}
}
