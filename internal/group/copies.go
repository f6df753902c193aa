package group

import (
	"math"
	"slices"
	"sync"
	"time"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/sheafdb/sheaf/internal/replica"
)

// copies keeps the newest copy of the state for as long as replicas may want it, and the log
// entries behind it for as long as a replica that is sent it needs them: else one that is
// written to faster than its state travels would be sent one after another.
//
// The loop takes mu, so nothing waits while it is held, and nothing looks at a disk.
type copies struct {
	g  *Group
	mu sync.Mutex
	// kept are the copies on the disk, by directory; current, the newest, is given to who asks.
	kept    map[string]*copied
	current *copied
	making  bool
	// madeFrom is an index that the copy being made is not below.
	madeFrom uint64
	// receivers were sent a state lately, and go on from it in the log.
	receivers map[uint64]*receiver
	running   sync.WaitGroup
}

// copied is one copy.
type copied struct {
	snapshot *pb.Snapshot
	made     time.Time
	used     time.Time // when it was made, or a sending of it ended
	sending  int       // how many are on their way
}

func (c *copied) dir() string   { return string(c.snapshot.GetData()) }
func (c *copied) index() uint64 { return c.snapshot.GetMetadata().GetIndex() }

// receiver is a replica that catches up from a state.
type receiver struct {
	index uint64 // of the state
	heard time.Time
	// goal is where the log ended at set. Who gets there within a tick has caught up.
	goal uint64
	set  time.Time
}

// copyAge is how long a copy is given to replicas that ask.
const copyAge = time.Minute

// copyPatience is how long entries are kept for a copy that nobody is sent, and for a receiver
// that is not heard of.
const copyPatience = 10 * time.Second

// snapshot is the replica's Snapshotter: it never waits.
func (c *copies) snapshot() (*pb.Snapshot, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	core := c.g.loop.core
	status := core.Status()
	// A replica does not take a state in which it is none of the group's.
	if s := c.current; s != nil && s.index()+1 >= status.First && time.Since(s.made) < copyAge &&
		sameReplicas(s.snapshot.GetMetadata().GetConfState(), core.Conf()) {
		s.sending++
		return s.snapshot, nil
	}
	if !c.making {
		c.making, c.madeFrom = true, status.Applied
		c.running.Go(c.make)
	}
	return nil, raft.ErrSnapshotTemporarilyUnavailable
}

// sameReplicas compares what both lists have, in whatever order. raft's own comparison writes both
// into the error it returns, while others may be encoding them.
func sameReplicas(a, b *pb.ConfState) bool {
	return a.GetAutoLeave() == b.GetAutoLeave() &&
		sameIDs(a.GetVoters(), b.GetVoters()) && sameIDs(a.GetLearners(), b.GetLearners()) &&
		sameIDs(a.GetVotersOutgoing(), b.GetVotersOutgoing()) && sameIDs(a.GetLearnersNext(), b.GetLearnersNext())
}

func sameIDs(a, b []uint64) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

func (c *copies) make() {
	g := c.g
	began, dir := time.Now(), g.cfg.Place.ForCopy()
	snapshot, err := g.copyTo(dir)
	if err != nil {
		g.cfg.Logger.Error("copy the state for a replica that is behind", "group", g.cfg.ID, "err", err)
		g.cfg.Place.Discard(nil, dir)
		c.mu.Lock()
		c.making = false
		c.mu.Unlock()
		return
	}
	g.cfg.Logger.Info("state copied for a replica that is behind", "group", g.cfg.ID,
		"index", snapshot.GetMetadata().GetIndex(), "took_ms", time.Since(began).Milliseconds())
	now := time.Now()
	c.mu.Lock()
	c.making = false
	unused := c.retire()
	c.current = &copied{snapshot: snapshot, made: now, used: now}
	c.kept[dir] = c.current
	c.mu.Unlock()
	c.discard(unused)
}

// retire gives the current copy to nobody any more, and returns what to discard.
func (c *copies) retire() *copied {
	old := c.current
	if c.current = nil; old == nil || old.sending > 0 {
		return nil
	}
	delete(c.kept, old.dir())
	return old
}

// discard removes a copy that is not kept, if it is not nil. It is called without mu.
func (c *copies) discard(old *copied) {
	if old != nil {
		c.g.cfg.Place.Discard(nil, old.dir())
	}
}

// sent notes that one sending of a copy has ended.
func (c *copies) sent(dir string) {
	c.mu.Lock()
	one := c.kept[dir]
	if one == nil {
		c.mu.Unlock()
		return
	}
	one.sending--
	one.used = time.Now()
	var unused *copied
	if one.sending == 0 && one != c.current {
		delete(c.kept, dir)
		unused = one
	}
	c.mu.Unlock()
	c.discard(unused)
}

// end waits for the copy that is made, and removes the last.
func (c *copies) end() {
	c.running.Wait()
	c.mu.Lock()
	unused := c.retire()
	c.mu.Unlock()
	c.discard(unused)
}

// needed is the index above which entries are to be kept. It is called by the loop in every
// turn, and lets go of a copy that is too old to be given to anybody.
func (c *copies) needed() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.making && len(c.kept)+len(c.receivers) == 0 {
		return math.MaxUint64
	}
	now := time.Now()
	if s := c.current; s != nil && s.sending == 0 && now.Sub(s.made) >= copyAge {
		unused := c.retire()
		c.running.Go(func() { c.discard(unused) })
	}
	above := uint64(math.MaxUint64)
	if c.making {
		above = c.madeFrom
	}
	for _, s := range c.kept {
		if s.sending > 0 || now.Sub(s.used) < copyPatience {
			above = min(above, s.index())
		}
	}
	return min(above, c.follow(now))
}

// follow looks how far the receivers are and returns the index above which they need entries.
func (c *copies) follow(now time.Time) uint64 {
	core, above := c.g.loop.core, uint64(math.MaxUint64)
	known := make(map[uint64]*receiver, len(c.receivers))
	core.Followers(func(p replica.Progress) {
		r := c.receivers[p.ID]
		if p.Pending > 0 && (r == nil || r.index != p.Pending) {
			r = &receiver{index: p.Pending, heard: now}
		}
		if r == nil {
			return
		}
		if p.Active {
			r.heard = now
		}
		if now.Sub(r.heard) >= copyPatience || r.caughtUp(p.Match, core.Status().Last, now) {
			return
		}
		known[p.ID] = r
		above = min(above, max(r.index, p.Match))
	})
	c.receivers = known
	return above
}

// caughtUp says that the receiver needs no more than a replica that was never behind.
func (r *receiver) caughtUp(match, last uint64, now time.Time) bool {
	if match < r.index {
		return false
	}
	if r.goal > 0 && match >= r.goal {
		return true
	}
	if r.goal == 0 || now.Sub(r.set) >= tickInterval {
		r.goal, r.set = last, now
	}
	return false
}
