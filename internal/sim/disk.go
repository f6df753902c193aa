package sim

import (
	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/sheafdb/sheaf/internal/replica"
	"github.com/sheafdb/sheaf/internal/store"
)

// disk is what a replica finds after a crash: its log, and a state that was flushed.
type disk struct {
	hard    *pb.HardState
	entries []*pb.Entry
	flushed *state
	// unsynced were taken for durable and are not: see SkipSync.
	unsynced []*replica.Append
}

// write makes an Append durable, as a whole.
func (d *disk) write(w *World, a *replica.Append) {
	for _, before := range d.unsynced {
		d.put(w, before)
	}
	d.unsynced = nil
	d.put(w, a)
}

func (d *disk) put(w *World, a *replica.Append) {
	if a.Snapshot != nil {
		d.flushed, d.entries = w.stateOf(a.Snapshot).clone(), nil
	}
	if len(a.Entries) > 0 {
		n := 0
		for n < len(d.entries) && d.entries[n].GetIndex() < a.Entries[0].GetIndex() {
			n++
		}
		d.entries = append(d.entries[:n:n], a.Entries...)
	}
	if a.HardState != nil && (w.cfg.Mutant != LoseVote || len(a.Entries) > 0) {
		d.hard = a.HardState
	}
}

// cut drops entries up to an index.
func (d *disk) cut(index uint64) {
	n := 0
	for n < len(d.entries) && d.entries[n].GetIndex() <= index {
		n++
	}
	d.entries = d.entries[n:]
}

// forgetRows is what ForgetRows does.
func (s *state) forgetRows() {
	for key, value := range s.spaces[store.Rows] {
		s.hash -= hashOf(store.Rows, key, value)
	}
	s.spaces[store.Rows] = map[string]string{}
	s.meta.Rows = 0
}
