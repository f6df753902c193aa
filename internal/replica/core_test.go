package replica

import (
	"log/slog"
	"testing"

	"github.com/google/go-cmp/cmp"
	pb "go.etcd.io/raft/v3/raftpb"
)

// alone is a group of one replica, whose log and state machine are at once.
type alone struct {
	t       *testing.T
	core    *Core
	applied []Committed
	reads   []Token
	refused []Token
	syncs   int
}

func newAlone(t *testing.T) *alone {
	t.Helper()
	tail := newTestTail(t, Saved{Conf: &pb.ConfState{Voters: []uint64{1}}, AppliedIndex: 1, AppliedTerm: 1})
	core, err := New(Config{
		ID: 1, Incarnation: 1, Tail: tail, Applied: 1, ElectionTicks: 10, HeartbeatTicks: 1,
		MessageBytes: 1 << 20, InflightBytes: 1 << 20, ApplyBytes: 1 << 20,
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return &alone{t: t, core: core}
}

// turn does all that there is to do.
func (a *alone) turn() {
	for {
		w, any := a.core.Work()
		if !any {
			return
		}
		a.refused = append(a.refused, w.Refused...)
		a.reads = append(a.reads, w.Reads...)
		if w.Append != nil {
			a.syncs++
			a.core.Logged(w.Append)
		}
		if w.Apply != nil {
			a.applied = append(a.applied, w.Apply.Entries...)
			a.core.Applied(w.Apply)
		}
	}
}

func TestReplicaAloneCommitsAtOnce(t *testing.T) {
	a := newAlone(t)
	a.core.Propose(1, []byte("too early"))
	a.turn()
	if diff := cmp.Diff([]Token{1}, a.refused); diff != "" {
		t.Errorf("a proposal without a leader: %s", diff)
	}
	a.core.Campaign()
	a.turn()
	syncs := a.syncs
	a.core.Propose(2, []byte("two"))
	a.core.Propose(3, []byte("three"))
	a.core.Read(4)
	a.turn()
	var got []Token
	for _, e := range a.applied {
		got = append(got, e.Token)
	}
	// The first is the entry with which a leader begins its term.
	if diff := cmp.Diff([]Token{0, 2, 3}, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]Token{4}, a.reads); diff != "" {
		t.Error(diff)
	}
	if a.syncs != syncs+1 {
		t.Errorf("two proposals of one turn took %d syncs", a.syncs-syncs)
	}
}

// TestReadWaitsForWhatWasCommittedBefore: what is committed is not yet applied.
func TestReadWaitsForWhatWasCommittedBefore(t *testing.T) {
	a := newAlone(t)
	a.core.Campaign()
	a.turn()
	a.core.Propose(2, []byte("two"))
	var held *Apply
	for held == nil {
		w, any := a.core.Work()
		if !any {
			t.Fatal("nothing is committed")
		}
		if w.Append != nil {
			a.core.Logged(w.Append)
		}
		held = w.Apply
	}
	a.core.Read(3)
	a.turn()
	if len(a.reads) > 0 {
		t.Fatal("a read did not wait")
	}
	a.core.Applied(held)
	a.turn()
	if diff := cmp.Diff([]Token{3}, a.reads); diff != "" {
		t.Error(diff)
	}
}

// TestNothingIsRepliedBeforeItIsLogged: of what a replica sends, only its requests for
// votes and a leader's entries may go before the disk has answered.
func TestNothingIsRepliedBeforeItIsLogged(t *testing.T) {
	tail := newTestTail(t, Saved{Conf: &pb.ConfState{Voters: []uint64{1, 2, 3}}, AppliedIndex: 1, AppliedTerm: 1})
	core, err := New(Config{
		ID: 2, Incarnation: 1, Tail: tail, Applied: 1, ElectionTicks: 10, HeartbeatTicks: 1,
		MessageBytes: 1 << 20, InflightBytes: 1 << 20, ApplyBytes: 1 << 20,
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	term, from, to, index := uint64(5), uint64(1), uint64(2), uint64(1)
	core.Step(&pb.Message{Type: pb.MsgVote.Enum(), From: &from, To: &to, Term: &term, Index: &index, LogTerm: &index})
	core.Step(&pb.Message{
		Type: pb.MsgApp.Enum(), From: &from, To: &to, Term: &term, Index: &index, LogTerm: &index, Entries: entries(2, 5),
	})
	replies := 0
	for {
		w, any := core.Work()
		if !any {
			break
		}
		if len(w.Send) > 0 {
			t.Errorf("%v was sent before it was logged", w.Send)
		}
		if w.Append != nil {
			replies += len(w.Append.Replies)
			core.Logged(w.Append)
		}
	}
	if replies != 2 {
		t.Errorf("%d replies, want a vote and an acknowledgement", replies)
	}
}
