package replica

import (
	"fmt"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
)

// Tail is the end of a replica's log, in memory: the durable entries that other replicas
// may still need. It is raft's Storage. What is older they get as a snapshot.
//
// The core owns it: its methods are called from where the core's are.
type Tail struct {
	hard *pb.HardState
	conf *pb.ConfState
	// baseIndex and baseTerm are those of the entry before the first; without entries, of
	// the last there was.
	baseIndex, baseTerm uint64
	entries             []*pb.Entry
	bytes               int64 // of the entries, see EntryBytes
	// dropped bytes are those of entries that the array before entries still holds.
	dropped  int64
	snapshot Snapshotter
}

// Snapshotter returns the description of a state that a replica far behind can be sent:
// its index, its term and the replicas as of then. raft.ErrSnapshotTemporarilyUnavailable
// says that none is ready; the replica asks again.
type Snapshotter func() (*pb.Snapshot, error)

// Saved is what a replica finds on its disk.
type Saved struct {
	HardState *pb.HardState // nil in a replica that has never run
	// Conf has the group's replicas as of Applied, the index and term of the state
	// machine.
	Conf                      *pb.ConfState
	AppliedIndex, AppliedTerm uint64
	// Entries are those of the log that were not cut, without a gap; the state machine
	// is in the middle of them, at their end, or just before.
	Entries []*pb.Entry
}

// entryOverheadBytes is about what an entry takes beside its data: pb.Entry with its fields
// behind pointers, and the pointer to it.
const entryOverheadBytes = 150

// EntryBytes is about what an entry takes in memory.
func EntryBytes(e *pb.Entry) int64 { return int64(len(e.GetData())) + entryOverheadBytes }

// NewTail returns the tail that was saved. The commit index is at least what is applied: it
// is not always written.
func NewTail(saved Saved, snapshot Snapshotter) (*Tail, error) {
	t := &Tail{
		hard: saved.HardState, conf: saved.Conf, snapshot: snapshot,
		baseIndex: saved.AppliedIndex, baseTerm: saved.AppliedTerm,
	}
	if len(saved.Entries) > 0 {
		first, last := saved.Entries[0].GetIndex(), saved.Entries[len(saved.Entries)-1].GetIndex()
		if first > saved.AppliedIndex+1 || last < saved.AppliedIndex {
			return nil, fmt.Errorf("the log has the entries %d to %d, but the state is at %d", first, last, saved.AppliedIndex)
		}
		if first <= saved.AppliedIndex {
			// The first serves as the base only: the term before it is not known.
			t.baseIndex, t.baseTerm = first, saved.Entries[0].GetTerm()
			saved.Entries = saved.Entries[1:]
		}
	}
	t.append(saved.Entries)
	commit := saved.AppliedIndex
	if t.hard == nil {
		t.hard = &pb.HardState{}
	}
	if commit = max(commit, t.hard.GetCommit()); commit > 0 {
		last, _ := t.LastIndex()
		commit = min(commit, last)
		term, vote := max(t.hard.GetTerm(), saved.AppliedTerm), t.hard.GetVote()
		t.hard = &pb.HardState{Term: &term, Vote: &vote, Commit: &commit}
	}
	return t, nil
}

// append puts entries at the end. They replace what is there from their first index on.
func (t *Tail) append(entries []*pb.Entry) {
	// What a snapshot has taken the place of in the meantime is not needed.
	for len(entries) > 0 && entries[0].GetIndex() <= t.baseIndex {
		entries = entries[1:]
	}
	if len(entries) == 0 {
		return
	}
	keep := entries[0].GetIndex() - t.baseIndex - 1
	if keep > uint64(len(t.entries)) {
		panic(fmt.Sprintf("replica: entry %d would leave a gap after %d", entries[0].GetIndex(), t.baseIndex+uint64(len(t.entries))))
	}
	for _, e := range t.entries[keep:] {
		t.bytes -= EntryBytes(e)
	}
	if keep < uint64(len(t.entries)) {
		// raft may still hold what Entries returned: what is replaced stays as it is there.
		t.entries = t.entries[:keep:keep]
	}
	t.entries = append(t.entries, entries...)
	for _, e := range entries {
		t.bytes += EntryBytes(e)
	}
}

// restore begins anew behind a snapshot.
func (t *Tail) restore(s *pb.Snapshot) {
	meta := s.GetMetadata()
	t.baseIndex, t.baseTerm, t.conf = meta.GetIndex(), meta.GetTerm(), meta.GetConfState()
	t.entries, t.bytes, t.dropped = nil, 0, 0
}

// Trim drops the oldest entries until they have at most so many bytes, but none above
// index: what the state machine has not got, or is not durable, stays.
//
// Their memory is free when they are an eighth of what is left: to copy the list for every
// entry would take as long as the list is, and raft may still hold what Entries returned.
func (t *Tail) Trim(bytes int64, index uint64) {
	n, before := 0, t.bytes
	for ; n < len(t.entries) && t.bytes > bytes && t.entries[n].GetIndex() <= index; n++ {
		t.bytes -= EntryBytes(t.entries[n])
	}
	if n == 0 {
		return
	}
	t.baseIndex, t.baseTerm = t.entries[n-1].GetIndex(), t.entries[n-1].GetTerm()
	t.entries = t.entries[n:]
	if t.dropped += before - t.bytes; t.dropped >= t.bytes/8 {
		t.entries, t.dropped = append([]*pb.Entry(nil), t.entries...), 0
	}
}

// InitialState is part of raft.Storage.
func (t *Tail) InitialState() (*pb.HardState, *pb.ConfState, error) { return t.hard, t.conf, nil }

// Entries is part of raft.Storage.
func (t *Tail) Entries(lo, hi, maxSize uint64) ([]*pb.Entry, error) {
	if lo <= t.baseIndex {
		return nil, raft.ErrCompacted
	}
	if last := t.baseIndex + uint64(len(t.entries)); hi > last+1 {
		return nil, raft.ErrUnavailable
	}
	entries := t.entries[lo-t.baseIndex-1 : hi-t.baseIndex-1]
	size := uint64(0)
	for n, e := range entries {
		if size += uint64(len(e.GetData())); size > maxSize && n > 0 {
			entries = entries[:n]
			break
		}
	}
	return entries[:len(entries):len(entries)], nil
}

// Term is part of raft.Storage.
func (t *Tail) Term(index uint64) (uint64, error) {
	switch {
	case index < t.baseIndex:
		return 0, raft.ErrCompacted
	case index == t.baseIndex:
		return t.baseTerm, nil
	case index > t.baseIndex+uint64(len(t.entries)):
		return 0, raft.ErrUnavailable
	}
	return t.entries[index-t.baseIndex-1].GetTerm(), nil
}

// LastIndex is part of raft.Storage.
func (t *Tail) LastIndex() (uint64, error) { return t.baseIndex + uint64(len(t.entries)), nil }

// FirstIndex is part of raft.Storage.
func (t *Tail) FirstIndex() (uint64, error) { return t.baseIndex + 1, nil }

// Snapshot is part of raft.Storage.
func (t *Tail) Snapshot() (*pb.Snapshot, error) { return t.snapshot() }
