package client

import (
	"bytes"
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/sheafdb/sheaf"
	sheafv1 "github.com/sheafdb/sheaf/api/sheaf/v1"
)

type readLine = line[*sheafv1.GetAllRequest, *sheafv1.GetAllResponse]

// holding answers a read with one item per key asked: the value is there with
// the version given, or is absent when that is 0.
func holding(etag string, versions map[string]uint64) readLine {
	return func(_ context.Context, _ *fakeNode, req *sheafv1.GetAllRequest) (*sheafv1.GetAllResponse, error) {
		resp := &sheafv1.GetAllResponse{Etag: etag}
		for _, key := range req.GetKeys() {
			item := &sheafv1.Item{Key: key, Version: versions[string(key)]}
			if item.Version > 0 {
				item.Found, item.Value = true, []byte("value of "+string(key))
			}
			resp.Entries = append(resp.Entries, item)
		}
		return resp, nil
	}
}

func unread(err error) readLine {
	return func(context.Context, *fakeNode, *sheafv1.GetAllRequest) (*sheafv1.GetAllResponse, error) {
		return nil, err
	}
}

func keysOf(names ...string) [][]byte {
	var keys [][]byte
	for _, name := range names {
		keys = append(keys, []byte(name))
	}
	return keys
}

func TestGetAllAnswersInTheOrderAsked(t *testing.T) {
	node := &fakeNode{getall: []readLine{
		unread(status.Error(codes.Unavailable, "bare")),
		unread(refusal(sheaf.StaleReplica)),
		holding(`"e"`, map[string]uint64{"a": 3}),
	}}
	inBubble(t, node, func(t *testing.T, c *Client) {
		got, err := c.GetAll(t.Context(), keysOf("b", "a"), At(sheaf.Sequential), After(3))
		if err != nil {
			t.Fatal(err)
		}
		want := Values{ETag: `"e"`, Items: []sheaf.Item{
			{Key: []byte("b")},
			{Key: []byte("a"), Value: []byte("value of a"), Version: 3, Found: true},
		}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		req := node.reads[0]
		if req.GetConsistency() != sheafv1.Consistency_CONSISTENCY_SEQUENTIAL || req.GetAfter() != 3 {
			t.Errorf("sent %v", req)
		}
		// Appending to one item must not write into the next.
		_ = append(got.Items[1].Key, "xxxxxxxx"...)
		if string(got.Items[1].Value) != "value of a" {
			t.Error("items share capacity")
		}
	})
}

func TestReadsNeverEndWithOutcomeUnknown(t *testing.T) {
	for want, err := range map[sheaf.Code]error{
		sheaf.NotProposed: status.Error(codes.Unavailable, "bare"),
		sheaf.Draining:    refusal(sheaf.Draining),
	} {
		t.Run(string(want), func(t *testing.T) {
			node := &fakeNode{getall: []readLine{unread(err)}}
			inBubble(t, node, func(t *testing.T, c *Client) {
				_, err := c.GetAll(t.Context(), keysOf("a"))
				if sheaf.CodeOf(err) != want {
					t.Errorf("got %v, want %s", err, want)
				}
				reads := len(node.reads)
				if _, err := c.GetAll(t.Context(), keysOf("a"), WithoutRetry()); err == nil || len(node.reads) != reads+1 {
					t.Errorf("got %v after %d attempts, want one that fails", err, len(node.reads)-reads)
				}
			})
		})
	}
}

func TestGetOfAnAbsentKeyIsNotFound(t *testing.T) {
	node := &fakeNode{getall: []readLine{holding(`"e"`, map[string]uint64{"a": 3})}}
	inBubble(t, node, func(t *testing.T, c *Client) {
		if item, err := c.Get(t.Context(), []byte("a")); err != nil || item.Version != 3 || string(item.Value) != "value of a" {
			t.Errorf("got %+v, %v", item, err)
		}
		if item, err := c.Get(t.Context(), []byte("b")); sheaf.CodeOf(err) != sheaf.NotFound || item.Found {
			t.Errorf("got %+v, %v; want NOT_FOUND", item, err)
		}
	})
}

func TestAnswerThatDoesNotFitTheQuestionIsRefused(t *testing.T) {
	node := &fakeNode{getall: []readLine{func(context.Context, *fakeNode, *sheafv1.GetAllRequest) (*sheafv1.GetAllResponse, error) {
		return &sheafv1.GetAllResponse{}, nil
	}}}
	inBubble(t, node, func(t *testing.T, c *Client) {
		if _, err := c.Get(t.Context(), []byte("a")); sheaf.CodeOf(err) != sheaf.Internal {
			t.Errorf("got %v, want INTERNAL", err)
		}
	})
}

// The decoder walks the answer in place; protobuf's own says what is right.
func FuzzDecodeValues(f *testing.F) {
	for _, seed := range []*sheafv1.GetAllResponse{
		{},
		{Etag: `"e"`, Entries: []*sheafv1.Item{{Key: []byte("k")}, {Key: []byte("l"), Value: []byte("v"), Version: 1 << 60, Found: true, TypeUrl: "t"}}},
		{Entries: []*sheafv1.Item{{TypeUrl: "t"}, {TypeUrl: "t"}, {TypeUrl: "u"}, {}, {TypeUrl: "t"}}},
	} {
		raw, err := proto.Marshal(seed)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var want sheafv1.GetAllResponse
		if proto.Unmarshal(raw, &want) != nil {
			_, _ = decodeValues(raw, 1) // must not panic
			return
		}
		got, ok := decodeValues(raw, len(want.GetEntries()))
		if !ok || string(got.ETag) != want.GetEtag() {
			t.Fatalf("got %v, %v of %v", got, ok, &want)
		}
		for i, item := range want.GetEntries() {
			have := got.Items[i]
			if !bytes.Equal(have.Key, item.GetKey()) || !bytes.Equal(have.Value, item.GetValue()) ||
				have.TypeURL != item.GetTypeUrl() || have.Version != item.GetVersion() || have.Found != item.GetFound() {
				t.Fatalf("item %d is %+v, want %v", i, have, item)
			}
		}
	})
}
