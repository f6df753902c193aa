package client

import (
	"context"
	"testing"

	"github.com/sheafdb/sheaf"
	sheafv1 "github.com/sheafdb/sheaf/api/sheaf/v1"
)

// replicaAt answers reads from a state up to that version, like a replica of the cluster.
func replicaAt(version uint64) readLine {
	return func(ctx context.Context, n *fakeNode, req *sheafv1.GetAllRequest) (*sheafv1.GetAllResponse, error) {
		if req.GetConsistency() == sheafv1.Consistency_CONSISTENCY_SEQUENTIAL && req.GetAfter() > version {
			return nil, refusal(sheaf.StaleReplica)
		}
		return holding(`"e"`, map[string]uint64{"a": version})(ctx, n, req)
	}
}

func TestSessionReadsItsOwnWritesWhicheverReplicaIsBehind(t *testing.T) {
	behind := &fakeNode{putall: []writeLine{applied(9)}, getall: []readLine{replicaAt(5)}}
	nodes := []*fakeNode{behind, {getall: []readLine{replicaAt(12)}}}
	inBubbleOf(t, nodes, func(t *testing.T, c *Client) {
		s := c.Session()
		if item, err := s.Get(t.Context(), []byte("a")); err != nil || item.Version != 5 || s.Seen() != 5 {
			t.Fatalf("got %+v, %v; seen %d", item, err, s.Seen())
		}
		if _, err := s.Put(t.Context(), []byte("a"), []byte("1")); err != nil || s.Seen() != 9 {
			t.Fatalf("%v; seen %d, want 9", err, s.Seen())
		}
		if w := behind.writes[0]; w.GetAfter() != 5 || w.GetConsistency() > sheafv1.Consistency_CONSISTENCY_LINEARIZABLE {
			t.Errorf("wrote %v, want LINEARIZABLE after 5", w)
		}
		if item, err := s.Get(t.Context(), []byte("a")); err != nil || item.Version != 12 {
			t.Errorf("got %+v, %v; want what the replica has that is not behind", item, err)
		}
		if n := len(behind.reads); n != 2 || behind.reads[1].GetAfter() != 9 {
			t.Errorf("the replica that is behind was asked %v", behind.reads)
		}
		// The replica that is behind cannot show anything older than what was shown of it.
		c.nodes.leave(0, 1)
		if item, err := s.Get(t.Context(), []byte("a")); err != nil || item.Version != 12 || s.Seen() != 12 {
			t.Errorf("got %+v, %v; seen %d: the session went back", item, err, s.Seen())
		}
	})
}

func TestSessionPassesItsVersionWithEveryCall(t *testing.T) {
	entry := []sheaf.Entry{sheaf.Put("a", "1")}
	key := []byte("a")
	ctx := context.Background()
	for name, call := range map[string]func(s *Session) error{
		"putall":    func(s *Session) error { _, err := s.PutAll(ctx, entry); return err },
		"put":       func(s *Session) error { _, err := s.Put(ctx, key, nil); return err },
		"delete":    func(s *Session) error { _, err := s.Delete(ctx, key); return err },
		"deleteall": func(s *Session) error { _, err := s.DeleteAll(ctx, [][]byte{key}); return err },
		"onconflict": func(s *Session) error {
			_, err := s.OnConflict(ctx, [][]byte{key}, func(Values) ([]sheaf.Entry, error) { return entry, nil })
			return err
		},
		"getall": func(s *Session) error { _, err := s.GetAll(ctx, [][]byte{key}); return err },
		"get":    func(s *Session) error { _, err := s.Get(ctx, key); return err },
		"the caller's is smaller": func(s *Session) error {
			_, err := s.PutAll(ctx, entry, After(3))
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			node := &fakeNode{putall: []writeLine{applied(50)}, getall: []readLine{holding(`"e"`, map[string]uint64{"a": 50})}}
			inBubble(t, node, func(t *testing.T, c *Client) {
				s := c.SessionFrom(40)
				if err := call(s); err != nil || s.Seen() != 50 {
					t.Errorf("got %v; seen %d, want 50", err, s.Seen())
				}
				for _, w := range node.writes {
					if want := map[bool]uint64{true: 50, false: 40}[name == "onconflict"]; w.GetAfter() != want {
						t.Errorf("wrote after %d, want %d", w.GetAfter(), want)
					}
				}
				for _, r := range node.reads {
					current := r.GetConsistency() == sheafv1.Consistency_CONSISTENCY_LINEARIZABLE
					if current != (name == "onconflict") || !current && r.GetAfter() != 40 {
						t.Errorf("read %v", r)
					}
				}
			})
		})
	}
}

func TestTheCallersOptionsHoldInASession(t *testing.T) {
	node := &fakeNode{getall: []readLine{holding(`"e"`, map[string]uint64{"a": 1})}}
	inBubble(t, node, func(t *testing.T, c *Client) {
		s := c.SessionFrom(40)
		if _, err := s.Get(t.Context(), []byte("a"), At(sheaf.Linearizable), After(60)); err != nil {
			t.Fatal(err)
		}
		if r := node.reads[0]; r.GetConsistency() != sheafv1.Consistency_CONSISTENCY_LINEARIZABLE || r.GetAfter() != 60 || s.Seen() != 40 {
			t.Errorf("sent %v; seen %d", r, s.Seen())
		}
	})
}
