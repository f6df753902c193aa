package client

import (
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/sheafdb/sheaf"
	sheafv1 "github.com/sheafdb/sheaf/api/sheaf/v1"
)

// TestAPictureNewerThanItsToken: the scan of a hash table has keys as they were when it came to them.
// What a watch from its token brings of before that must leave the reader with what there is.
func TestAPictureNewerThanItsToken(t *testing.T) {
	mark, draining := &sheafv1.WatchResponse{Token: "t0"}, refusal(sheaf.Draining)
	event := func(token string, version uint64, value string) *sheafv1.WatchResponse {
		change := &sheafv1.Change{Key: []byte("k"), Value: []byte(value), Delete: version == 0, Expired: version == 0}
		return &sheafv1.WatchResponse{Token: token, Version: version, Entries: []*sheafv1.Change{change}}
	}
	for _, test := range []struct {
		name  string
		lines []watchLine
	}{
		{"an older write", []watchLine{sends(nil, mark, event("t1", 9, "old"))}},
		{"its own write", []watchLine{sends(nil, mark, event("t1", 10, "new"))}},
		{"it had expired before", []watchLine{sends(nil, mark, event("t1", 0, ""), event("t2", 10, "new"))}},
		{"the watch breaks behind its first mark", []watchLine{sends(draining, mark), sends(nil, mark, event("t1", 9, "old"))}},
		{"and again", []watchLine{sends(draining, mark), sends(draining, mark), sends(nil, mark, event("t1", 9, "old"))}},
	} {
		t.Run(test.name, func(t *testing.T) {
			ended := refusal(sheaf.PermissionDenied)
			watches := 0
			node := &fakeNode{
				scan: func(_ *sheafv1.ScanRequest, stream grpc.ServerStreamingServer[sheafv1.ScanResponse]) error {
					if err := stream.SetHeader(metadata.Pairs(watchTokenKey, "t0")); err != nil {
						return err
					}
					return stream.Send(&sheafv1.ScanResponse{Entries: []*sheafv1.Item{{Key: []byte("k"), Value: []byte("new"), Version: 10, Found: true}}})
				},
				watch: func(_ *sheafv1.WatchRequest, stream grpc.ServerStreamingServer[sheafv1.WatchResponse]) error {
					if watches++; watches > len(test.lines) {
						return ended
					}
					if err := test.lines[watches-1](stream); err != nil {
						return err
					}
					return ended
				},
			}
			inBubble(t, node, func(t *testing.T, c *Client) {
				state, complete := map[string]string{}, false
				for u, err := range c.Sync(t.Context(), nil) {
					if err != nil {
						if sheaf.CodeOf(err) != sheaf.PermissionDenied {
							t.Error(err)
						}
						break
					}
					complete = complete || u.Step == SyncComplete
					for _, item := range u.Items {
						state[string(item.Key)] = string(item.Value)
					}
					for _, change := range u.Event.Changes {
						if delete(state, string(change.Key)); !change.Delete {
							state[string(change.Key)] = string(change.Value)
						}
					}
				}
				if !complete || len(state) != 1 || state["k"] != "new" {
					t.Errorf("the reader has %v", state)
				}
			})
		})
	}
}
