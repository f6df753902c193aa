package replica

import (
	"log/slog"
	"testing"

	pb "go.etcd.io/raft/v3/raftpb"
)

// TestAFollowerThatComesBackIsNotSentTheSameForEverySign: it has answered 500 heartbeats, as
// many as there were reads, and what it lacks is sent once.
func TestAFollowerThatComesBackIsNotSentTheSameForEverySign(t *testing.T) {
	tail := newTestTail(t, Saved{Conf: &pb.ConfState{Voters: []uint64{1, 2}}, AppliedIndex: 1, AppliedTerm: 1})
	core, err := New(Config{
		ID: 1, Incarnation: 1, Tail: tail, Applied: 1, ElectionTicks: 10, HeartbeatTicks: 1,
		MessageBytes: 1 << 20, InflightBytes: 1 << 20, ApplyBytes: 1 << 20,
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	other, me, no := uint64(2), uint64(1), false
	work := func() (sent int) {
		for {
			w, any := core.Work()
			if !any {
				return sent
			}
			for _, m := range w.Send {
				switch m.GetType() {
				case pb.MsgPreVote, pb.MsgVote:
					kind := pb.MsgVoteResp
					if m.GetType() == pb.MsgPreVote {
						kind = pb.MsgPreVoteResp
					}
					core.Step(&pb.Message{Type: kind.Enum(), From: &other, To: &me, Term: m.Term, Reject: &no})
				case pb.MsgApp:
					sent += len(m.GetEntries())
				default:
				}
			}
			if w.Append != nil {
				core.Logged(w.Append)
			}
		}
	}
	core.Campaign()
	work()
	if !core.Status().Leading {
		t.Fatal("it does not lead")
	}
	const written = 20
	for token := range Token(written) {
		core.Propose(token+1, []byte("x"))
	}
	work()
	core.Unreachable(other)
	term := core.Status().Term
	for range 500 {
		core.Step(&pb.Message{Type: pb.MsgHeartbeatResp.Enum(), From: &other, To: &me, Term: &term})
	}
	switch sent := work(); {
	case sent < written:
		t.Errorf("%d entries are sent of the %d that it lacks", sent, written)
	case sent > 2*written:
		t.Errorf("%d entries are sent, and it lacks %d", sent, written)
	}
}
