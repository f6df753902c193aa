package check

import (
	"context"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	sheafv1 "github.com/sheafdb/sheaf/api/sheaf/v1"
	"github.com/sheafdb/sheaf/internal/check/judge"
)

// liar is a server that passes calls on to a node, and now and then breaks a promise.
type liar struct {
	sheafv1.UnimplementedKVServiceServer
	sheafv1.UnimplementedNodeServiceServer
	kv   sheafv1.KVServiceClient
	node sheafv1.NodeServiceClient
	lie  lie
	// enough is called when it has lied often.
	enough func()
	told   atomic.Int64

	mu      sync.Mutex
	answers map[string]*sheafv1.GetAllResponse
	version uint64            // the largest that was answered
	tokens  map[string]string // of scans, by prefix
}

// lie is a promise that is not kept; what is nil is kept.
type lie struct {
	name string
	// want is the reason that must be among those that are found.
	want   judge.Reason
	putAll func(l *liar, ctx context.Context, req *sheafv1.PutAllRequest) (*sheafv1.PutAllResponse, error)
	getAll func(l *liar, ctx context.Context, req *sheafv1.GetAllRequest) (*sheafv1.GetAllResponse, error)
	lieToFollowers
}

// A liar lies to one call in lieEvery, and has lied enough after enoughLies: of some of them
// nothing can be seen. Of lies to followers much can, and there are few scans.
const (
	lieEvery       = 20
	enoughLies     = 60
	lieToScanEvery = 2
	enoughOfThese  = 8
)

func (l *liar) now() bool { return l.oneIn(lieEvery, enoughLies) }

func (l *liar) oneIn(every int, enough int64) bool {
	if rand.IntN(every) != 0 {
		return false
	}
	if l.told.Add(1) == enough {
		l.enough()
	}
	return true
}

// startLiar returns the address of a server that lies.
func startLiar(t *testing.T, backend string, lie lie, enough func()) string {
	t.Helper()
	conn, err := grpc.NewClient(backend, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &liar{
		kv: sheafv1.NewKVServiceClient(conn), node: sheafv1.NewNodeServiceClient(conn), lie: lie,
		enough: enough, answers: make(map[string]*sheafv1.GetAllResponse), tokens: make(map[string]string),
	}
	server := grpc.NewServer()
	sheafv1.RegisterKVServiceServer(server, l)
	sheafv1.RegisterNodeServiceServer(server, l)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener) // ends with Stop
	}()
	t.Cleanup(func() {
		server.Stop()
		<-done
		_ = conn.Close()
	})
	return listener.Addr().String()
}

func (l *liar) GetStatus(ctx context.Context, req *sheafv1.GetStatusRequest) (*sheafv1.GetStatusResponse, error) {
	return l.node.GetStatus(ctx, req)
}

func (l *liar) PutAll(ctx context.Context, req *sheafv1.PutAllRequest) (*sheafv1.PutAllResponse, error) {
	pass := l.kv.PutAll
	if l.lie.putAll != nil && l.now() {
		pass = func(ctx context.Context, req *sheafv1.PutAllRequest, _ ...grpc.CallOption) (*sheafv1.PutAllResponse, error) {
			return l.lie.putAll(l, ctx, req)
		}
	}
	answer, err := pass(ctx, req)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.version = max(l.version, answer.GetVersion())
	return answer, err
}

func (l *liar) GetAll(ctx context.Context, req *sheafv1.GetAllRequest) (*sheafv1.GetAllResponse, error) {
	if l.lie.getAll != nil && l.now() {
		return l.lie.getAll(l, ctx, req)
	}
	answer, err := l.kv.GetAll(ctx, req)
	if err == nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		if id := question(req); l.answers[id] == nil || rand.IntN(8) == 0 {
			l.answers[id] = answer // so that what is kept is older than the last
		}
	}
	return answer, err
}

// question is what a read asks for, whatever it comes after.
func question(req *sheafv1.GetAllRequest) string {
	id := req.GetConsistency().String()
	for _, key := range req.GetKeys() {
		id += " " + string(key)
	}
	return id
}

var lies = append([]lie{
	{name: "answers a read from an earlier answer", want: judge.StaleRead, getAll: func(l *liar, ctx context.Context, req *sheafv1.GetAllRequest) (*sheafv1.GetAllResponse, error) {
		l.mu.Lock()
		old := l.answers[question(req)]
		l.mu.Unlock()
		if old != nil {
			return old, nil
		}
		return l.kv.GetAll(ctx, req)
	}},
	{name: "acknowledges a batch and drops it", want: judge.LostAccepted, putAll: func(l *liar, _ context.Context, req *sheafv1.PutAllRequest) (*sheafv1.PutAllResponse, error) {
		l.mu.Lock()
		defer l.mu.Unlock()
		if req.GetConsistency() == sheafv1.Consistency_CONSISTENCY_EVENTUAL {
			return &sheafv1.PutAllResponse{Accepted: true}, nil
		}
		return &sheafv1.PutAllResponse{Version: max(l.version, req.GetAfter()) + 1, Etag: `"lie"`}, nil
	}},
	{name: "writes a batch but its last entry", want: judge.HalfBatch, putAll: func(l *liar, ctx context.Context, req *sheafv1.PutAllRequest) (*sheafv1.PutAllResponse, error) {
		if n := len(req.Entries); n > 1 && req.GetIfMatch() == "" {
			req.Entries = req.Entries[:n-1]
		}
		return l.kv.PutAll(ctx, req)
	}},
	{name: "writes a batch twice", want: judge.AppliedTwice, putAll: func(l *liar, ctx context.Context, req *sheafv1.PutAllRequest) (*sheafv1.PutAllResponse, error) {
		again := proto.Clone(req).(*sheafv1.PutAllRequest)
		answer, err := l.kv.PutAll(ctx, req)
		again.RequestId += "-again"
		again.IfMatch, again.IfNoneMatch = "", ""
		for _, entry := range again.Entries {
			entry.IfVersion = nil
		}
		_, _ = l.kv.PutAll(ctx, again) // a lie that fails is none
		return answer, err
	}},
	{name: "does not look at conditions", want: judge.ConditionIgnored, putAll: func(l *liar, ctx context.Context, req *sheafv1.PutAllRequest) (*sheafv1.PutAllResponse, error) {
		req.IfMatch, req.IfNoneMatch = "", ""
		for _, entry := range req.Entries {
			entry.IfVersion = nil
		}
		return l.kv.PutAll(ctx, req)
	}},
	{name: "writes a batch and says that it is refused", want: judge.RefusedSeen, putAll: func(l *liar, ctx context.Context, req *sheafv1.PutAllRequest) (*sheafv1.PutAllResponse, error) {
		if answer, err := l.kv.PutAll(ctx, req); err != nil {
			return answer, err
		}
		refusal, err := status.New(codes.FailedPrecondition, "a lie").WithDetails(&errdetails.ErrorInfo{Domain: "sheaf", Reason: "ETAG_MISMATCH"})
		if err != nil {
			return nil, err
		}
		return nil, refusal.Err()
	}},
	{name: "answers another key's value", want: judge.UnwrittenValue, getAll: func(l *liar, ctx context.Context, req *sheafv1.GetAllRequest) (*sheafv1.GetAllResponse, error) {
		answer, err := l.kv.GetAll(ctx, req)
		if items := answer.GetEntries(); len(items) > 1 {
			items[0].Value, items[1].Value = items[1].Value, items[0].Value
		}
		return answer, err
	}},
	{name: "reads two halves at two times", want: judge.HalfBatch, getAll: func(l *liar, ctx context.Context, req *sheafv1.GetAllRequest) (*sheafv1.GetAllResponse, error) {
		old, err := l.kv.GetAll(ctx, req)
		if err != nil {
			return old, err
		}
		late, err := l.kv.GetAll(ctx, req)
		if items := late.GetEntries(); err == nil {
			half := len(items) / 2
			late.Entries = slices.Concat(old.GetEntries()[:half], items[half:])
		}
		return late, err
	}},
}, liesToFollowers...)
