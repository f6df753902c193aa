package group

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestAReplicaThatNeedsAStateCatchesUpUnderWrites: while its state travels, more is written
// than the others keep of their logs.
func TestAReplicaThatNeedsAStateCatchesUpUnderWrites(t *testing.T) {
	var written atomic.Int64
	var slow atomic.Bool
	tr := &trio{t: t, kind: "memory", tailBytes: 1, tailMost: 64 << 20}
	tr.slow = func() {
		end := written.Load() + 20
		for until := time.Now().Add(10 * time.Second); slow.Load() && written.Load() < end && time.Now().Before(until); {
			time.Sleep(time.Millisecond)
		}
	}
	startTrio(t, tr)
	tr.put("a", "0")
	leader := tr.leader(nil)
	behind := tr.members[leader.id%3]
	for _, m := range tr.members {
		m.mustHave("a", "0")
	}
	behind.mu.Lock() // who began late had one already
	hadAdopted, hadDirs := behind.adopted, behind.dirs
	behind.mu.Unlock()
	leader.ageCopy() // or the log would be kept for it
	slow.Store(true)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			if _, _, err := leader.group().Propose(ctx, leader.rig.command(fmt.Sprint("steady", i), put("steady", fmt.Sprint(i)))); err == nil {
				written.Add(1)
			}
			cancel()
		}
	}()
	defer func() { close(stop); <-stopped }()
	adopted := func() bool {
		behind.mu.Lock()
		defer behind.mu.Unlock()
		return behind.adopted > hadAdopted
	}
	for attempt := 0; !adopted(); attempt++ { // the entries may still be there
		if attempt == 10 {
			t.Fatal("it was never sent a state")
		}
		tr.isolate(behind, true)
		for i := range 20 {
			tr.put(fmt.Sprint(i), "before")
		}
		now := leader.group().applied.Load()
		tr.isolate(behind, false)
		waitUntil(t, "it follows, or has a state", func() bool { return adopted() || behind.group().applied.Load() >= now })
	}
	for range 2 { // further than any state that was on its way
		now := leader.group().applied.Load()
		waitUntil(t, "it follows", func() bool { return behind.group().applied.Load() >= now })
	}
	behind.mu.Lock()
	dirs := behind.dirs - hadDirs
	behind.mu.Unlock()
	if dirs != 1 {
		t.Errorf("it was sent %d states", dirs)
	}
	waitUntil(t, "nothing is kept for it any more", func() bool {
		leader.group().copies.mu.Lock()
		defer leader.group().copies.mu.Unlock()
		return len(leader.group().copies.receivers) == 0
	})
}

// TestACopyThatNobodyIsSentIsDiscarded once it is too old to be given to anybody.
func TestACopyThatNobodyIsSentIsDiscarded(t *testing.T) {
	tr := newTrio(t, "memory", 1)
	leader := tr.leader(nil)
	behind := tr.members[leader.id%3]
	tr.isolate(behind, true)
	for i := range 20 {
		tr.put(fmt.Sprint(i), "1")
	}
	tr.isolate(behind, false)
	behind.mustHave("7", "1")
	dir := leader.ageCopy()
	if dir == "" {
		t.Fatal("there is no copy")
	}
	waitUntil(t, "it is gone", func() bool {
		_, err := leader.rig.fs.Stat(dir)
		return err != nil
	})
}

// ageCopy makes the newest copy too old to be given to anybody, once nobody is sent it, and
// returns its directory, or "" when there is none.
func (m *member) ageCopy() (dir string) {
	c := &m.group().copies
	waitUntil(m.trio.t, "nobody is sent the copy", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.making || c.current != nil && c.current.sending > 0 {
			return false
		}
		if c.current != nil {
			dir = c.current.dir()
			c.current.made = time.Now().Add(-copyAge)
		}
		return true
	})
	return dir
}

// receiveJunk gives a replica a state that it must not open, and waits until its files are gone.
func (m *member) receiveJunk(from *member, snapshot *pb.Snapshot) {
	t := m.trio.t
	t.Helper()
	const dir = "junk"
	if err := m.rig.fs.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if f, err := m.rig.fs.Create(m.rig.fs.PathJoin(dir, "file"), vfs.WriteCategoryUnspecified); err != nil || f.Close() != nil {
		t.Fatal(err)
	}
	snapshot = proto.CloneOf(snapshot)
	snapshot.Data = []byte(dir)
	term := from.group().office.Load().Term
	m.group().Receive([]*pb.Message{{Type: pb.MsgSnap.Enum(), From: &from.id, To: &m.id, Term: &term, Snapshot: snapshot}})
	waitUntil(t, "the state is discarded", func() bool {
		_, err := m.rig.fs.Stat(dir)
		return err != nil
	})
}

func TestAStateThatNobodyNeedsIsDiscarded(t *testing.T) {
	tr := newTrio(t, "memory", 1<<20)
	tr.put("a", "1")
	leader := tr.leader(nil)
	other := tr.members[leader.id%3]
	other.mustHave("a", "1")
	index, term := uint64(1), uint64(1)
	other.receiveJunk(leader, &pb.Snapshot{Metadata: &pb.SnapshotMetadata{
		ConfState: &pb.ConfState{Voters: []uint64{1, 2, 3}}, Index: &index, Term: &term,
	}})
	other.mustHave("a", "1")
}

// TestAStateIsNotTakenWhileAnotherIsInstalled, though it is newer.
func TestAStateIsNotTakenWhileAnotherIsInstalled(t *testing.T) {
	entered, free := make(chan struct{}, 10), make(chan struct{})
	tr := startTrio(t, &trio{t: t, kind: "memory", tailBytes: 1, adopt: func() {
		entered <- struct{}{}
		<-free
	}})
	leader := tr.leader(nil)
	behind := tr.members[leader.id%3]
	tr.isolate(behind, true)
	for i := range 20 {
		tr.put(fmt.Sprint(i), "1")
	}
	tr.isolate(behind, false)
	<-entered
	c := &leader.group().copies
	c.mu.Lock()
	newer := proto.CloneOf(c.current.snapshot)
	c.mu.Unlock()
	index := newer.Metadata.GetIndex() + 1
	newer.Metadata.Index = &index
	behind.receiveJunk(leader, newer)
	close(free)
	behind.mustHave("7", "1")
}

func TestSameReplicas(t *testing.T) {
	yes := true
	base := func() *pb.ConfState { return &pb.ConfState{Voters: []uint64{1, 2, 3}, Learners: []uint64{4}} }
	if !sameReplicas(base(), &pb.ConfState{Voters: []uint64{3, 1, 2}, Learners: []uint64{4}, AutoLeave: new(bool)}) {
		t.Error("another order is another list")
	}
	for what, other := range map[string]*pb.ConfState{
		"voters":        {Voters: []uint64{1, 2}, Learners: []uint64{4}},
		"learners":      {Voters: []uint64{1, 2, 3}, Learners: []uint64{5}},
		"outgoing":      {Voters: []uint64{1, 2, 3}, Learners: []uint64{4}, VotersOutgoing: []uint64{1}},
		"learners next": {Voters: []uint64{1, 2, 3}, Learners: []uint64{4}, LearnersNext: []uint64{3}},
		"auto leave":    {Voters: []uint64{1, 2, 3}, Learners: []uint64{4}, AutoLeave: &yes},
	} {
		if sameReplicas(base(), other) {
			t.Errorf("other %s are the same", what)
		}
	}
}
