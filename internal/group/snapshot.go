package group

import (
	"fmt"
	"sync"
	"time"

	"go.etcd.io/raft/v3"
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
// What raft does not accept stays in its directory until the node starts again.

// copies keeps the newest copy for as long as replicas may want it.
type copies struct {
	g       *Group
	mu      sync.Mutex
	current *pb.Snapshot
	made    time.Time
	making  bool
	// sending counts those on their way, by directory.
	sending map[string]int
	running sync.WaitGroup
}

// copyAge is how long a copy is given to replicas that ask.
const copyAge = time.Minute

// snapshot is the replica's Snapshotter: it never waits.
func (c *copies) snapshot() (*pb.Snapshot, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	core := c.g.loop.core
	first := core.Status().First
	// A replica does not take a state in which it is none of the group's.
	if s := c.current; s != nil && s.GetMetadata().GetIndex()+1 >= first && time.Since(c.made) < copyAge &&
		s.GetMetadata().GetConfState().Equivalent(core.Conf()) == nil {
		c.sending[string(s.GetData())]++
		return s, nil
	}
	if !c.making {
		c.making = true
		c.running.Go(c.make)
	}
	return nil, raft.ErrSnapshotTemporarilyUnavailable
}

func (c *copies) make() {
	g := c.g
	began, dir := time.Now(), g.cfg.Place.ForCopy()
	snapshot, err := g.copyTo(dir)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.making = false
	if err != nil {
		g.cfg.Logger.Error("copy the state for a replica that is behind", "group", g.cfg.ID, "err", err)
		g.cfg.Place.Discard(nil, dir)
		return
	}
	g.cfg.Logger.Info("state copied for a replica that is behind", "group", g.cfg.ID,
		"index", snapshot.GetMetadata().GetIndex(), "took_ms", time.Since(began).Milliseconds())
	c.discard()
	c.current, c.made = snapshot, time.Now()
}

// discard removes the copy there is, or leaves that to whoever sends it.
func (c *copies) discard() {
	if c.current == nil {
		return
	}
	dir := string(c.current.GetData())
	c.current = nil
	if c.sending[dir] == 0 {
		c.g.cfg.Place.Discard(nil, dir)
	}
}

// sent notes that one sending of a copy has ended.
func (c *copies) sent(dir string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sending[dir]--; c.sending[dir] > 0 {
		return
	}
	delete(c.sending, dir)
	if c.current == nil || string(c.current.GetData()) != dir {
		c.g.cfg.Place.Discard(nil, dir)
	}
}

// end waits for the copy that is made, and removes the last.
func (c *copies) end() {
	c.running.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.discard()
}

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
	g.applied.Store(meta.Index)
	g.cfg.Logger.Info("state of another replica taken over", "group", g.cfg.ID, "index", index, "took_ms", time.Since(began).Milliseconds())
	g.cfg.Journal.write(g, a)
	g.changed()
	return nil
}
