package group

import (
	"fmt"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/sheafdb/sheaf/internal/replica"
	"github.com/sheafdb/sheaf/internal/store"
)

// A replica that is further behind than the leader's tail reaches is sent a state: a copy
// that the leader makes of its store, in a directory of its own. The message of type MsgSnap
// names the directory in its Data, on each side its own:
//
//	leader    raft wants a snapshot ─► copies.make ─► Send(MsgSnap): files, then the message
//	follower  files ─► Receive(MsgSnap) ─► raft accepts ─► applier: install ─► journal
//
// What raft does not accept is discarded, and so is a state that comes while another is
// installed: its leader finds out how far this replica is, as if it had been lost.

// copyTo makes a copy and describes it to raft.
func (g *Group) copyTo(dir string) (*pb.Snapshot, error) {
	copied, err := g.store.Copy(dir)
	if err != nil {
		return nil, err
	}
	conf := &pb.ConfState{}
	if err := proto.Unmarshal(copied.Own[string(replicasKey)], conf); err != nil {
		return nil, fmt.Errorf("the copy does not say what the replicas are: %w", err)
	}
	return &pb.Snapshot{
		Data:     []byte(dir),
		Metadata: &pb.SnapshotMetadata{ConfState: conf, Index: &copied.Meta.Index, Term: &copied.Meta.Term},
	}, nil
}

// SnapshotSent says what became of a message of type MsgSnap.
func (g *Group) SnapshotSent(m *pb.Message, ok bool) {
	g.copies.sent(string(m.GetSnapshot().GetData()))
	g.inbox.add(func(n *news) {
		n.errands = append(n.errands, func() { g.loop.core.SnapshotSent(m.GetTo(), ok) })
	})
}

// Unreachable says that messages to a replica are lost.
func (g *Group) Unreachable(to uint64) {
	g.inbox.add(func(n *news) {
		n.errands = append(n.errands, func() { g.loop.core.Unreachable(to) })
	})
}

// takeState says whether raft is to be given a state that was received: one at a time.
func (g *Group) takeState(m *pb.Message) bool {
	l, dir := &g.loop, string(m.GetSnapshot().GetData())
	if l.installing != nil || l.offered != "" {
		g.discardLater(dir)
		return false
	}
	l.offered = dir
	return true
}

// dropState discards the state that raft was given in this turn, if it did not accept it.
func (g *Group) dropState() {
	l := &g.loop
	if l.offered != "" && (l.installing == nil || string(l.installing.Snapshot.GetData()) != l.offered) {
		g.discardLater(l.offered)
	}
	l.offered = ""
}

// discardLater is for the loop, which does not wait for a disk.
func (g *Group) discardLater(dir string) {
	g.copies.running.Go(func() { g.cfg.Place.Discard(nil, dir) })
}

// install puts a state that was received in the place of the group's, and has the log
// continue behind it.
func (g *Group) install(a *replica.Append) error {
	began, index := time.Now(), a.Snapshot.GetMetadata().GetIndex()
	next, err := g.cfg.Place.Adopt(string(a.Snapshot.GetData()), index)
	if err != nil {
		return fmt.Errorf("take over a state of another replica: %w", err)
	}
	meta := viewMeta(next)
	if meta.Index != index {
		return store.Corruptf("the store", "the state of another replica is at log entry %d, not %d as was said", meta.Index, index)
	}
	g.store.take(next, func(old store.Store) { g.cfg.Place.Discard(old, "") })
	g.clock.Store(meta.Clock)
	g.stateMS.Store(meta.NowMS)
	if g.cfg.Feed != nil {
		g.cfg.Feed.Jumped(meta.Index)
	}
	g.applied.Store(meta.Index)
	g.cfg.Logger.Info("state of another replica taken over", "group", g.cfg.ID, "index", index, "took_ms", time.Since(began).Milliseconds())
	g.cfg.Journal.write(g, a)
	g.changed()
	return nil
}
