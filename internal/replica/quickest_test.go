package replica

import (
	"log/slog"
	"slices"
	"testing"

	pb "go.etcd.io/raft/v3/raftpb"
)

// several is a group whose messages arrive in order, at once, but for those to who is deaf.
type several struct {
	t     *testing.T
	cores map[uint64]*Core
	ids   []uint64
	deaf  uint64
	asked []uint64 // who a question of a read was sent to
	reads []Token  // of the first
}

func newSeveral(t *testing.T, ids ...uint64) *several {
	t.Helper()
	s := &several{t: t, cores: make(map[uint64]*Core), ids: ids}
	for _, id := range ids {
		tail := newTestTail(t, Saved{Conf: &pb.ConfState{Voters: ids}, AppliedIndex: 1, AppliedTerm: 1})
		core, err := New(Config{
			ID: id, Incarnation: id, Tail: tail, Applied: 1, ElectionTicks: 10, HeartbeatTicks: 2,
			MessageBytes: 1 << 20, InflightBytes: 1 << 20, ApplyBytes: 1 << 20,
			Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		s.cores[id] = core
	}
	s.cores[1].Campaign()
	s.settle()
	if !s.cores[1].Settled() {
		t.Fatal("nobody leads")
	}
	return s
}

// settle goes on until there is nothing to do.
func (s *several) settle() {
	for busy := true; busy; {
		busy = false
		for _, id := range s.ids {
			w, any := s.cores[id].Work()
			busy = busy || any
			s.send(w.Send)
			if w.Append != nil {
				s.cores[id].Logged(w.Append)
				s.send(w.Append.Replies)
			}
			if w.Apply != nil {
				s.cores[id].Applied(w.Apply)
			}
			if id == 1 {
				s.reads = append(s.reads, w.Reads...)
			}
		}
	}
}

func (s *several) send(messages []*pb.Message) {
	for _, m := range messages {
		if isHeartbeat(m) && len(m.GetContext()) > 0 {
			s.asked = append(s.asked, m.GetTo())
		}
		if m.GetTo() != s.deaf {
			s.cores[m.GetTo()].Step(m)
		}
	}
}

func (s *several) tick() {
	s.cores[1].Tick()
	s.settle()
}

func (s *several) read(token Token) (asked []uint64, served bool) {
	s.asked = nil
	s.cores[1].Read(token)
	s.settle()
	return s.asked, slices.Contains(s.reads, token)
}

// TestAReadAsksNoMoreReplicasThanItNeeds once it is known who answers first, and turns to others
// with the next tick when that one does not answer.
func TestAReadAsksNoMoreReplicasThanItNeeds(t *testing.T) {
	for _, c := range []struct {
		ids    []uint64
		others int // that a majority needs
	}{{[]uint64{1, 2}, 1}, {[]uint64{1, 2, 3}, 1}, {[]uint64{1, 2, 3, 4}, 2}, {[]uint64{1, 2, 3, 4, 5}, 2}} {
		s := newSeveral(t, c.ids...)
		if asked, served := s.read(1); len(asked) != len(c.ids)-1 || !served {
			t.Fatalf("of %d, before anybody is known: %v are asked, served %v", len(c.ids), asked, served)
		}
		s.tick()
		s.tick()
		asked, served := s.read(2)
		if len(asked) != c.others || !served {
			t.Fatalf("of %d: %v are asked, served %v", len(c.ids), asked, served)
		}
		if len(c.ids) == 2 {
			continue // without the other nobody answers
		}
		s.deaf = asked[0]
		if _, served := s.read(3); served {
			t.Fatalf("of %d: it is served without %d, which had to answer", len(c.ids), s.deaf)
		}
		s.tick()
		if !slices.Contains(s.reads, 3) {
			t.Fatalf("of %d: it is not served after a tick", len(c.ids))
		}
		s.tick() // a heartbeat, which the deaf one does not answer
		if asked, served := s.read(4); slices.Contains(asked, s.deaf) || len(asked) != c.others || !served {
			t.Fatalf("of %d, one of them deaf: %v are asked, served %v", len(c.ids), asked, served)
		}
	}
}
