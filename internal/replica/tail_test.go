package replica

import (
	"errors"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
)

// entries returns entries from an index on, one for each term.
func entries(first uint64, terms ...uint64) (list []*pb.Entry) {
	for i, term := range terms {
		index := first + uint64(i)
		list = append(list, &pb.Entry{Index: &index, Term: &term, Data: []byte{byte(index), byte(term)}})
	}
	return list
}

func newTestTail(t *testing.T, saved Saved) *Tail {
	t.Helper()
	tail, err := NewTail(saved, func() (*pb.Snapshot, error) { return nil, raft.ErrSnapshotTemporarilyUnavailable })
	if err != nil {
		t.Fatal(err)
	}
	return tail
}

// termsOf returns the terms of all entries, the base's first.
func termsOf(t *testing.T, tail *Tail) (terms []uint64) {
	t.Helper()
	first, _ := tail.FirstIndex()
	last, _ := tail.LastIndex()
	for i := first - 1; i <= last; i++ {
		term, err := tail.Term(i)
		if err != nil {
			t.Fatalf("term of %d: %v", i, err)
		}
		terms = append(terms, term)
	}
	return terms
}

func TestTailReplacesWhatAnotherLeaderOverwrites(t *testing.T) {
	tail := newTestTail(t, Saved{Conf: &pb.ConfState{}, AppliedIndex: 4, AppliedTerm: 1, Entries: entries(5, 1, 1, 1)})
	held, err := tail.Entries(5, 8, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	tail.append(entries(6, 2, 2, 2))
	if diff := cmp.Diff([]uint64{1, 1, 2, 2, 2}, termsOf(t, tail)); diff != "" {
		t.Error(diff)
	}
	if tail.bytes != 4*(2+entryOverheadBytes) {
		t.Errorf("%d bytes", tail.bytes)
	}
	for _, e := range held {
		if e.GetTerm() != 1 {
			t.Errorf("raft's own list of entries was changed: entry %d has term %d", e.GetIndex(), e.GetTerm())
		}
	}
	// raft may append to what it holds.
	_ = append(held, entries(8, 9)...)
	if diff := cmp.Diff([]uint64{1, 1, 2, 2, 2}, termsOf(t, tail)); diff != "" {
		t.Error(diff)
	}
}

func TestTailRefusesAGap(t *testing.T) {
	tail := newTestTail(t, Saved{Conf: &pb.ConfState{}, AppliedIndex: 4, AppliedTerm: 1})
	defer func() {
		if recover() == nil {
			t.Error("a gap was taken")
		}
	}()
	tail.append(entries(6, 1))
}

func TestTailNeedsWhatTheStateHasNot(t *testing.T) {
	for name, saved := range map[string]Saved{
		"entries are missing":       {AppliedIndex: 4, AppliedTerm: 1, Entries: entries(6, 1)},
		"the state is ahead of all": {AppliedIndex: 9, AppliedTerm: 1, Entries: entries(6, 1)},
	} {
		if _, err := NewTail(saved, nil); err == nil {
			t.Errorf("%s: a tail was made", name)
		}
	}
}

func TestTailCommitsAtLeastWhatIsApplied(t *testing.T) {
	term, vote, commit := uint64(3), uint64(2), uint64(5)
	tail := newTestTail(t, Saved{
		HardState: &pb.HardState{Term: &term, Vote: &vote, Commit: &commit}, Conf: &pb.ConfState{},
		AppliedIndex: 7, AppliedTerm: 3, Entries: entries(6, 3, 3, 3),
	})
	hard, _, _ := tail.InitialState()
	if hard.GetCommit() != 7 || hard.GetTerm() != 3 || hard.GetVote() != 2 {
		t.Errorf("%v", hard)
	}
}

func TestTailGivesAtLeastOneEntryAndNoMoreThanAsked(t *testing.T) {
	tail := newTestTail(t, Saved{Conf: &pb.ConfState{}, AppliedIndex: 1, AppliedTerm: 1, Entries: entries(2, 1, 1, 1, 1)})
	for _, c := range []struct{ lo, hi, bytes, want uint64 }{
		{2, 6, 0, 1}, {2, 6, 3, 1}, {2, 6, 4, 2}, {3, 5, 100, 2},
	} {
		got, err := tail.Entries(c.lo, c.hi, c.bytes)
		if err != nil || uint64(len(got)) != c.want || got[0].GetIndex() != c.lo {
			t.Errorf("entries %d to %d in %d bytes: %v, %v", c.lo, c.hi, c.bytes, got, err)
		}
	}
	if _, err := tail.Entries(1, 3, 9); !errors.Is(err, raft.ErrCompacted) {
		t.Error(err)
	}
	if _, err := tail.Entries(2, 7, 9); !errors.Is(err, raft.ErrUnavailable) {
		t.Error(err)
	}
}

func TestTailTrimsWhatNobodyNeeds(t *testing.T) {
	tail := newTestTail(t, Saved{Conf: &pb.ConfState{}, AppliedIndex: 1, AppliedTerm: 1, Entries: entries(2, 1, 1, 2, 2)})
	tail.Trim(0, 3)
	if first, _ := tail.FirstIndex(); first != 4 {
		t.Errorf("begins at %d", first)
	}
	if diff := cmp.Diff([]uint64{1, 2, 2}, termsOf(t, tail)); diff != "" {
		t.Error(diff)
	}
	tail.Trim(2+entryOverheadBytes, 99)
	if tail.bytes != 2+entryOverheadBytes {
		t.Errorf("%d bytes are left", tail.bytes)
	}
}

// TestATailThatIsFullCostsNoMoreThanWhatComes: in entries of 100 bytes, one is appended and
// one dropped in every turn.
func TestATailThatIsFullCostsNoMoreThanWhatComes(t *testing.T) {
	const full, turns = 10_000, 5_000
	tail := newTestTail(t, Saved{Conf: &pb.ConfState{}, AppliedIndex: 1, AppliedTerm: 1})
	term, data := uint64(1), make([]byte, 100)
	one := func(index uint64) []*pb.Entry { return []*pb.Entry{{Index: &index, Term: &term, Data: data}} }
	for i := range uint64(full) {
		tail.append(one(i + 2))
	}
	bytes := tail.bytes
	held, err := tail.Entries(2, 10, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for i := range uint64(turns) {
		tail.append(one(i + full + 2))
		tail.Trim(bytes, i+full+2)
	}
	runtime.ReadMemStats(&after)
	if each := (after.TotalAlloc - before.TotalAlloc) / turns; each > 2000 {
		t.Errorf("%d bytes were allocated in every turn", each)
	}
	if tail.bytes != bytes || len(tail.entries) != full {
		t.Errorf("%d bytes in %d entries are left", tail.bytes, len(tail.entries))
	}
	if most := full * 5 / 4; cap(tail.entries) > 2*most {
		t.Errorf("the list has room for %d entries", cap(tail.entries))
	}
	if held[0].GetIndex() != 2 || held[7].GetIndex() != 9 {
		t.Error("raft's own list of entries was changed")
	}
}
