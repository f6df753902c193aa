package contract

import (
	"context"
	"io"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/sheafdb/sheaf"
	sheafv1 "github.com/sheafdb/sheaf/api/sheaf/v1"
)

// grpcFace carries calls with the generated stubs and nothing else.
type grpcFace struct{ node *target }

func (grpcFace) name() string { return "grpc" }

func (f grpcFace) do(t testing.TB, c call) answer {
	t.Helper()
	wait := patience
	if c.timeout > 0 {
		wait = c.timeout
	}
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	var got answer
	var err error
	switch c.op {
	case putAll, putKey:
		got, err = f.putAll(ctx, c)
	case deleteAll, deleteKey:
		got, err = f.deleteAll(ctx, c)
	case getAll, getKey:
		got, err = f.getAll(ctx, c)
	case scan:
		got, err = f.scan(ctx, c)
	}
	if err != nil {
		return answer{refused: grpcRefusal(t, err)}
	}
	return got
}

func levelOf(level sheaf.Consistency) sheafv1.Consistency {
	return sheafv1.Consistency(level) + sheafv1.Consistency_CONSISTENCY_LINEARIZABLE
}

func (f grpcFace) putAll(ctx context.Context, c call) (answer, error) {
	req := &sheafv1.PutAllRequest{
		RequestId: c.id, Consistency: levelOf(c.level), IfMatch: c.ifMatch, IfNoneMatch: c.ifNoneMatch, After: c.after,
	}
	for _, e := range c.entries {
		req.Entries = append(req.Entries, &sheafv1.Entry{
			Key: e.Key, Value: e.Value, Delete: e.Delete, TtlMs: e.TTL.Milliseconds(), TypeUrl: e.TypeURL, IfVersion: e.IfVersion,
		})
	}
	resp, err := f.node.kv.PutAll(ctx, req)
	return answer{
		version: resp.GetVersion(), etag: resp.GetEtag(), replayed: resp.GetReplayed(), accepted: resp.GetAccepted(),
	}, err
}

func (f grpcFace) deleteAll(ctx context.Context, c call) (answer, error) {
	resp, err := f.node.kv.DeleteAll(ctx, &sheafv1.DeleteAllRequest{
		RequestId: c.id, Keys: asBytes(c.keys), Consistency: levelOf(c.level),
		IfMatch: c.ifMatch, IfNoneMatch: c.ifNoneMatch, After: c.after,
	})
	return answer{
		version: resp.GetVersion(), etag: resp.GetEtag(), replayed: resp.GetReplayed(), accepted: resp.GetAccepted(),
	}, err
}

func (f grpcFace) getAll(ctx context.Context, c call) (answer, error) {
	resp, err := f.node.kv.GetAll(ctx, &sheafv1.GetAllRequest{Keys: asBytes(c.keys), Consistency: levelOf(c.level), After: c.after})
	return answer{etag: resp.GetEtag(), items: itemsOf(resp.GetEntries())}, err
}

// scan reads the pages to the end; where they break is not part of the contract.
func (f grpcFace) scan(ctx context.Context, c call) (answer, error) {
	stream, err := f.node.kv.Scan(ctx, &sheafv1.ScanRequest{
		Prefix: []byte(strings.Join(c.keys, "")), Start: []byte(c.start), Limit: c.limit,
	})
	if err != nil {
		return answer{}, err
	}
	var got answer
	for {
		page, err := stream.Recv()
		if err == io.EOF {
			break
		}
		if err != nil {
			return answer{}, err
		}
		got.items = append(got.items, itemsOf(page.Entries)...)
	}
	header, err := stream.Header()
	got.token = strings.Join(header.Get("sheaf-watch-token"), ",")
	return got, err
}

func itemsOf(entries []*sheafv1.Item) []item {
	items := make([]item, len(entries))
	for i, e := range entries {
		items[i] = item{key: string(e.Key), value: string(e.Value), typeURL: e.TypeUrl, version: e.Version, found: e.Found}
	}
	return items
}

func asBytes(keys []string) [][]byte {
	out := make([][]byte, len(keys))
	for i, key := range keys {
		out[i] = []byte(key)
	}
	return out
}

// verbatim is a codec that sends bytes as they are: what no stub would encode.
type verbatim struct{}

func (verbatim) Name() string { return "proto" }

func (verbatim) Marshal(v any) ([]byte, error) { return v.([]byte), nil }

func (verbatim) Unmarshal(data []byte, v any) error {
	*v.(*[]byte) = append([]byte(nil), data...)
	return nil
}

// send carries a message that is given by its bytes, with metadata in pairs.
func (f grpcFace) send(t testing.TB, method string, msg []byte, pairs ...string) ([]byte, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(metadata.AppendToOutgoingContext(context.Background(), pairs...), patience)
	defer cancel()
	var resp []byte
	err := f.node.conn.Invoke(ctx, "/sheaf.v1.KVService/"+method, msg, &resp, grpc.ForceCodec(verbatim{}))
	return resp, err
}
