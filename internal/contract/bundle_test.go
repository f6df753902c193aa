package contract

import (
	"context"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/sheafdb/sheaf"
	sheafv1 "github.com/sheafdb/sheaf/api/sheaf/v1"
	"github.com/sheafdb/sheaf/internal/config"
)

// bundle sends a PutBundle.
func (f grpcFace) bundle(t testing.TB, req *sheafv1.PutBundleRequest) (*sheafv1.PutBundleResponse, *refusal) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	resp, err := f.node.kv.PutBundle(ctx, req)
	if err != nil {
		return nil, grpcRefusal(t, err)
	}
	if len(resp.Outcomes) != len(req.Entries) {
		t.Fatalf("%d outcomes of %d entries", len(resp.Outcomes), len(req.Entries))
	}
	return resp, nil
}

// refusalOf is what the status of an outcome says, held against the table.
func refusalOf(t testing.TB, o *sheafv1.Outcome) *refusal {
	t.Helper()
	var st spb.Status
	if err := proto.Unmarshal(o.GetStatus(), &st); err != nil {
		t.Fatal(err)
	}
	return grpcRefusal(t, status.FromProto(&st).Err())
}

func bundled(key, value string) *sheafv1.Entry {
	return &sheafv1.Entry{Key: []byte(key), Value: []byte(value)}
}

func under(version uint64, e *sheafv1.Entry) *sheafv1.Entry {
	e.IfVersion = &version
	return e
}

// TestEachEntryOfABundleHasItsOwnOutcome, in order, and every retry is told the same.
func TestEachEntryOfABundleHasItsOwnOutcome(t *testing.T) {
	for _, store := range []string{"memory", "pebble"} {
		t.Run(store, func(t *testing.T) {
			f := grpcFace{sharedNode(t, store)}
			before := must(t, f, call{entries: puts("eb1=old")})
			req := &sheafv1.PutBundleRequest{RequestId: "bundle-" + t.Name(), Entries: []*sheafv1.Entry{
				bundled("eb1", "first"),
				bundled("eb2", "x"),
				under(before.version, bundled("eb1", "it was old then")), // sees the first
				bundled("eb1", "last"),
				under(0, bundled("eb3", "new")),
				{Key: []byte("eb2"), Delete: true},
				under(0, bundled("eb2", "again")), // sees the delete
			}}
			resp, refused := f.bundle(t, req)
			if refused != nil || resp.Replayed {
				t.Fatalf("%+v, %+v", resp, refused)
			}
			for i, o := range resp.Outcomes {
				switch {
				case i == 2:
					r := refusalOf(t, o)
					if o.Version != 0 || o.Etag != "" || r.code != sheaf.VersionMismatch || !cmp.Equal(r.keys, []string{"eb1"}) {
						t.Errorf("entry 2: %+v, %+v", o, r)
					}
				case o.Status != nil || o.Version == 0 || o.Etag == "":
					t.Errorf("entry %d: %+v", i, o)
				}
			}
			got := must(t, f, call{op: getAll, keys: []string{"eb1", "eb2", "eb3"}})
			for i, want := range []string{"eb1=last", "eb2=again", "eb3=new"} {
				o := resp.Outcomes[[]int{3, 6, 4}[i]]
				one := must(t, f, call{op: getAll, keys: []string{got.items[i].key}})
				if got.items[i].String() != want || got.items[i].version != o.Version || one.etag != o.Etag {
					t.Errorf("%s at %d, ETag %s; want %s, and the outcome was %v", got.items[i], got.items[i].version, one.etag, want, o)
				}
			}
			if o := resp.Outcomes; o[0].Version >= o[3].Version || o[1].Version >= o[5].Version || o[5].Version >= o[6].Version {
				t.Errorf("versions of one key do not rise: %v", o)
			}

			must(t, f, call{entries: puts("eb1=later", "eb3=later")})
			again, refused := f.bundle(t, req)
			if refused != nil || !again.Replayed {
				t.Fatalf("%+v, %+v", again, refused)
			}
			if r := refusalOf(t, again.Outcomes[2]); r.code != sheaf.VersionMismatch {
				t.Errorf("%+v", r)
			}
			again.Outcomes[2], resp.Outcomes[2] = nil, nil
			if diff := cmp.Diff(resp.Outcomes, again.Outcomes, protocmp.Transform()); diff != "" {
				t.Error(diff)
			}
			if got := must(t, f, call{op: getKey, keys: []string{"eb1"}}); got.items[0].value != "later" {
				t.Errorf("the retry wrote %s", got.items[0])
			}
			req.Entries[0].Value = []byte("another")
			if _, refused := f.bundle(t, req); refused == nil || refused.code != sheaf.RequestIDReused {
				t.Errorf("another bundle under the same ID: %+v", refused)
			}
		})
	}
}

// TestABundleIsRefusedForItsShape as a batch is, but for keys that are named twice.
func TestABundleIsRefusedForItsShape(t *testing.T) {
	f := grpcFace{sharedNode(t, "small")}
	many := &sheafv1.PutBundleRequest{}
	for i := range smallEntries + 1 {
		many.Entries = append(many.Entries, bundled(fmt.Sprint("bs", i), "v"))
	}
	for name, c := range map[string]struct {
		req  *sheafv1.PutBundleRequest
		want sheaf.Code
	}{
		"empty":    {&sheafv1.PutBundleRequest{}, sheaf.InvalidBatch},
		"no key":   {&sheafv1.PutBundleRequest{Entries: []*sheafv1.Entry{bundled("bs", "v"), bundled("", "v")}}, sheaf.InvalidBatch},
		"eventual": {&sheafv1.PutBundleRequest{Entries: []*sheafv1.Entry{bundled("bs", "v")}, Consistency: levelOf(sheaf.Eventual)}, sheaf.InvalidBatch},
		"after":    {&sheafv1.PutBundleRequest{Entries: []*sheafv1.Entry{bundled("bs", "v")}, After: 1 << 60}, sheaf.InvalidBatch},
		"ID":       {&sheafv1.PutBundleRequest{Entries: []*sheafv1.Entry{bundled("bs", "v")}, RequestId: "\n"}, sheaf.InvalidBatch},
		"many":     {many, sheaf.BatchTooLarge},
	} {
		if _, refused := f.bundle(t, c.req); refused == nil || refused.code != c.want {
			t.Errorf("%s: %+v, want %s", name, refused, c.want)
		}
	}
	if got := must(t, f, call{op: getKey, keys: []string{"bs"}}); got.items[0].found {
		t.Error("a bundle that was refused is there")
	}
	strict := grpcFace{sharedNode(t, "strict")}
	if _, refused := strict.bundle(t, &sheafv1.PutBundleRequest{Entries: []*sheafv1.Entry{bundled("bs", "v")}}); refused == nil || refused.code != sheaf.RequestIDRequired {
		t.Errorf("%+v", refused)
	}
	if _, refused := strict.bundle(t, &sheafv1.PutBundleRequest{RequestId: "bs", Entries: []*sheafv1.Entry{bundled("bs", "v")}}); refused == nil || refused.code != sheaf.ETagRequired {
		t.Errorf("%+v", refused)
	}
}

// TestABundleSurvivesARestart: its keys, and what its ID was answered.
func TestABundleSurvivesARestart(t *testing.T) {
	dir := t.TempDir()
	memory := func(c *config.Config) { c.Store = "memory" }
	n := start(t, dir, nil, memory)
	req := &sheafv1.PutBundleRequest{RequestId: "x", After: 40, Entries: []*sheafv1.Entry{
		bundled("a", "1"), bundled("a", "2"), under(7, bundled("b", "1")), bundled("c", "3"),
	}}
	first, refused := grpcFace{n}.bundle(t, req)
	if refused != nil || first.Outcomes[0].Version <= 40 {
		t.Fatalf("%+v, %+v", first, refused)
	}
	n.shut()
	f := grpcFace{start(t, dir, nil, memory)}
	again, refused := f.bundle(t, req)
	if refused != nil || !again.Replayed || refusalOf(t, again.Outcomes[2]).code != sheaf.VersionMismatch {
		t.Fatalf("%+v, %+v", again, refused)
	}
	again.Outcomes[2], first.Outcomes[2] = nil, nil
	if diff := cmp.Diff(first.Outcomes, again.Outcomes, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
	got := must(t, f, call{op: getAll, keys: []string{"a", "b", "c"}})
	if s := fmt.Sprint(got.items); s != "[a=2 b absent c=3]" {
		t.Error(s)
	}
}
