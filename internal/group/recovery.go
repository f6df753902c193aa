package group

import (
	"fmt"
	"log/slog"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/sheafdb/sheaf/internal/feed"
	"github.com/sheafdb/sheaf/internal/replica"
	"github.com/sheafdb/sheaf/internal/store"
	"github.com/sheafdb/sheaf/internal/wal"
	"github.com/sheafdb/sheaf/internal/wire"
)

// Seed makes an empty state that of a new group: every one of its first replicas begins
// with the same entry behind it. Entry 1 is in no log, so a state that a crash has emptied
// again must be seeded as it was. A state that is not empty stays as it is.
func Seed(s store.Store, voters []uint64) error {
	if viewMeta(s).Index > 0 {
		return nil
	}
	return Begin(s, store.Meta{Index: firstIndex, Term: 1}, voters)
}

// Begin gives a state its Meta, and its group's replicas, as the last that is done to it before
// a group begins with it.
func Begin(s store.Store, meta store.Meta, voters []uint64) error {
	data, err := proto.Marshal(&pb.ConfState{Voters: voters})
	if err != nil {
		return err
	}
	out := store.Mutations{Meta: meta}
	out.Set(store.Own, replicasKey, nil, data)
	return s.Apply(&out)
}

// firstIndex is that of the entry which a new group begins with.
const firstIndex = 1

// Recovery brings a store up to date from the log, after a crash or a restart, and keeps
// what raft needs of it. Its Found and Visit are what wal.Open calls.
//
// What is known to be committed is applied. What comes after it is kept for raft: it may
// have been acknowledged, or another leader may replace it.
type Recovery struct {
	group  uint64
	store  store.Store
	lane   *feed.Lane
	logger *slog.Logger
	keep   int64 // bytes of entries that are kept, though applied
	state  wal.HardState

	applied, term uint64 // of the store
	// adopted is the entry at which the store was taken over from another replica, 0 if it
	// was not; lastTerm is the term of the last entry kept.
	adopted, lastTerm uint64
	count             uint64
	entries           []*pb.Entry
	bytes             int64 // of entries up to applied
	out               store.Mutations
	began, told       time.Time
}

// NewRecovery begins where the store stands. keepBytes of the newest entries that are
// applied stay in memory for replicas that are a little behind. lane, if not nil, is told of what
// is replayed.
func NewRecovery(group uint64, s store.Store, keepBytes int64, lane *feed.Lane, logger *slog.Logger) *Recovery {
	now, meta := time.Now(), viewMeta(s)
	if lane != nil {
		lane.Begin(meta.Index)
	}
	return &Recovery{group: group, store: s, keep: keepBytes, lane: lane, logger: logger, applied: meta.Index, term: meta.Term, began: now, told: now}
}

// Adopted says that the store began as the state of another replica, at that entry: the log
// may not reach it.
func (r *Recovery) Adopted(index uint64) { r.adopted = index }

// progressEvery is how often a long replay says how far it is.
const progressEvery = time.Second

// Found takes the group's hard state.
func (r *Recovery) Found(state wal.HardState) { r.state = state }

// Visit takes one log entry of the group.
func (r *Recovery) Visit(e wal.Entry) error {
	if e.Index > r.applied+1 && e.Index <= r.state.Commit {
		return store.Corruptf("the store", "it is at log entry %d but the log begins at %d: the entries between are missing", r.applied, e.Index)
	}
	if e.Index > r.applied && e.Index <= r.state.Commit {
		if err := r.apply(e); err != nil {
			return fmt.Errorf("replay log entry %d: %w", e.Index, err)
		}
	}
	r.remember(e)
	return nil
}

// remember keeps an entry for raft, and lets go of the oldest that are applied.
func (r *Recovery) remember(e wal.Entry) {
	if e.Index > r.applied && e.Term < max(r.term, r.lastTerm) {
		// From a time before the state was taken over: a log's terms never fall, and what
		// comes next will replace it.
		return
	}
	r.lastTerm = max(r.lastTerm, e.Term)
	if e.Index <= r.applied && r.keep == 0 {
		return
	}
	r.entries = append(r.entries, raftEntry(e))
	if e.Index > r.applied {
		return
	}
	r.bytes += replica.EntryBytes(r.entries[len(r.entries)-1])
	n := 0
	for ; n < len(r.entries)-1 && r.bytes > r.keep; n++ {
		r.bytes -= replica.EntryBytes(r.entries[n])
	}
	r.entries = r.entries[n:]
}

func (r *Recovery) apply(e wal.Entry) error {
	entry := &pb.Entry{Data: e.Body}
	if len(e.Body) > 0 && e.Body[0] >= markChange {
		entry = raftEntry(e)
	}
	switch {
	case entry.GetType() != pb.EntryNormal:
		conf, err := replicasOf(r.store)
		if err == nil {
			conf, err = replica.Change(conf, entry, e.Index)
		}
		if err == nil {
			err = applyOwn(r.store, conf, e.Index, e.Term, &r.out)
		}
		if err != nil {
			return err
		}
		passed(r.lane, e.Index)
	case len(entry.GetData()) == 0:
		if err := applyOwn(r.store, nil, e.Index, e.Term, &r.out); err != nil {
			return err
		}
		passed(r.lane, e.Index)
	default:
		cmd, err := wire.DecodeCommand(entry.GetData())
		if err != nil {
			return err
		}
		result, err := applyCommand(r.store, &cmd, e.Index, e.Term, &r.out)
		if err != nil {
			return err
		}
		tell(r.lane, &cmd, &result, &r.out)
	}
	r.applied, r.term = e.Index, e.Term
	r.count++
	if r.count%64 == 0 && time.Since(r.told) >= progressEvery {
		r.told = time.Now()
		r.logger.Info("replaying the log", "group", r.group, "index", r.applied, "entries", r.count,
			"seconds", int(time.Since(r.began).Seconds()))
	}
	return nil
}

// replicasOf reads the group's replicas from its state.
func replicasOf(s store.Store) (*pb.ConfState, error) {
	view := s.View()
	defer view.Close() //nolint:errcheck // reading is over
	data, _, err := view.Get(store.Own, replicasKey)
	if err != nil {
		return nil, err
	}
	conf := &pb.ConfState{}
	if err := proto.Unmarshal(data, conf); err != nil {
		return nil, store.Corruptf("the store", "it does not say what the group's replicas are: %v", err)
	}
	return conf, nil
}

// Saved is what raft begins with, once the log is open. It refuses a store and a log that do
// not belong together.
func (r *Recovery) Saved(log *wal.Log) (replica.Saved, error) {
	first, last := log.FirstIndex(r.group), log.EndIndex(r.group)
	switch {
	case last < r.applied && r.applied > max(firstIndex, r.adopted):
		return replica.Saved{}, store.Corruptf(log.Dir(), "the log ends at entry %d but the store has entry %d: acknowledged batches may be missing", last, r.applied)
	case first > r.applied+1, first == 0 && last > r.applied:
		return replica.Saved{}, store.Corruptf("the store", "it is at log entry %d and the log, which goes up to %d, was cut behind it: the entries between are missing", r.applied, last)
	}
	conf, err := replicasOf(r.store)
	if err != nil {
		return replica.Saved{}, err
	}
	saved := replica.Saved{Conf: conf, AppliedIndex: r.applied, AppliedTerm: r.term, Entries: r.entries}
	if r.state.Term > 0 {
		saved.HardState = &pb.HardState{Term: &r.state.Term, Vote: &r.state.Vote, Commit: &r.state.Commit}
	}
	if last < r.applied && r.applied > firstIndex {
		saved.Entries = nil
		if err := log.Cut(r.group, r.applied); err != nil {
			return replica.Saved{}, err
		}
	}
	return saved, nil
}

// Applied is the index that the store has reached.
func (r *Recovery) Applied() uint64 { return r.applied }

// Count is how many entries were applied.
func (r *Recovery) Count() uint64 { return r.count }
