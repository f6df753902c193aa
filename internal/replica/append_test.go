package replica

import (
	"log/slog"
	"testing"

	pb "go.etcd.io/raft/v3/raftpb"
)

// TestACommitIndexAloneIsNotWritten: the follower's answer waits for what is before it, and for no
// write of its own. Terms, votes and entries are written, the last with the newest commit index.
func TestACommitIndexAloneIsNotWritten(t *testing.T) {
	tail := newTestTail(t, Saved{Conf: &pb.ConfState{Voters: []uint64{1, 2, 3}}, AppliedIndex: 1, AppliedTerm: 1})
	core, err := New(Config{
		ID: 2, Incarnation: 1, Tail: tail, Applied: 1, ElectionTicks: 10, HeartbeatTicks: 1,
		MessageBytes: 1 << 20, InflightBytes: 1 << 20, ApplyBytes: 1 << 20,
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	leader, me := uint64(1), uint64(2)
	step := func(kind pb.MessageType, term, index, logTerm, commit uint64, entries []*pb.Entry) *Append {
		m := &pb.Message{
			Type: kind.Enum(), From: &leader, To: &me, Term: &term, Index: &index, LogTerm: &logTerm, Commit: &commit, Entries: entries,
		}
		if kind == pb.MsgVote {
			m.Context = []byte("CampaignTransfer") // or it is not listened to while there is a leader
		}
		core.Step(m)
		var only *Append
		for {
			w, any := core.Work()
			if !any {
				return only
			}
			if w.Append != nil {
				only = w.Append
				core.Logged(only)
			}
			if w.Apply != nil {
				core.Applied(w.Apply)
			}
		}
	}
	for _, c := range []struct {
		what          string
		kind          pb.MessageType
		term          uint64
		index, commit uint64
		logTerm       uint64
		entries       []*pb.Entry
		empty         bool
		wantCommit    uint64
	}{
		{"a new term with an entry", pb.MsgApp, 5, 1, 1, 1, entries(2, 5), false, 1},
		{"a commit index alone", pb.MsgApp, 5, 2, 2, 5, nil, true, 0},
		{"the next entry", pb.MsgApp, 5, 2, 2, 5, entries(3, 5), false, 2},
		{"another commit index", pb.MsgApp, 5, 3, 3, 5, nil, true, 0},
		{"a vote in a new term", pb.MsgVote, 6, 3, 0, 5, nil, false, 3},
		{"the same vote again", pb.MsgVote, 6, 3, 0, 5, nil, true, 0},
	} {
		a := step(c.kind, c.term, c.index, c.logTerm, c.commit, c.entries)
		if a == nil || len(a.Replies) != 1 {
			t.Fatalf("%s: there is no answer: %+v", c.what, a)
		}
		if a.Empty() != c.empty {
			t.Errorf("%s: written is %+v", c.what, a.HardState)
		}
		if h := a.HardState; !c.empty && (h.GetTerm() != c.term || h.GetCommit() != c.wantCommit) {
			t.Errorf("%s: written is %+v, want term %d and commit %d", c.what, h, c.term, c.wantCommit)
		}
	}
}
