package node

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sheafdb/sheaf/internal/peer"
)

// A member whose data directory is gone, and that is started again with --node and --peer-addr,
// begins a cluster of its own: empty, and ready to promise what its cluster will never hear of.
// The members that call it at its old address give it away. Nothing else can: there is nothing on
// its disk, and the members may be away when it begins. So it listens for them before it serves, and
// stops serving when they call later.

const (
	// foreignFor is how long after such a call a node is not ready. Members try again far more
	// often, and one that has a wrong address is corrected some time.
	foreignFor = 30 * time.Second
	// foreignEvery bounds how often it is worth a line.
	foreignEvery = 10 * time.Second
	// listenTime is how long a new node listens before it begins a cluster of its own: for several
	// calls of each member that takes it for another.
	listenTime = 500 * time.Millisecond
)

// foreigners are the members of other clusters that called.
type foreigners struct {
	mu     sync.Mutex
	last   peer.Identity
	at     time.Time
	toldAt time.Time
	// called holds a token when one has.
	called chan struct{}
}

// listenFirst refuses to begin a cluster where members of another call. Nothing is on the disk yet
// that would make the next start another one.
func (n *Node) listenFirst(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-n.foreigns.called:
		return errors.New(n.foreigns.advice())
	case <-time.After(listenTime):
		return nil
	}
}

// advice is for a node that has only just begun.
func (f *foreigners) advice() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return fmt.Sprintf("members of cluster %s call this node, which has only just begun a cluster of its own: %s", f.last.Cluster, lostAdvice)
}

const (
	lostAdvice  = "if this node was one of them, its data directory is lost or not the one it was started with: stop it, and give it the right one, or have a new node take its place (--join, sheaf cluster replace). If not, give it another --peer-addr"
	wrongAdvice = "one of the two has a wrong address, or this node a wrong data directory"
)

// foreign is told that a member of another cluster takes this node for one of its own.
func (n *Node) foreign(from peer.Identity) {
	f := &n.foreigns
	f.mu.Lock()
	f.last, f.at = from, time.Now()
	tell := f.at.Sub(f.toldAt) >= foreignEvery
	if tell {
		f.toldAt = f.at
	}
	f.mu.Unlock()
	select {
	case f.called <- struct{}{}:
	default:
	}
	advice := wrongAdvice
	if n.begins.Load() {
		advice = lostAdvice
		n.gate.Shut(f.advice())
	}
	if tell {
		n.opts.Logger.Error("a member of another cluster calls this node", "node", from.Name, "cluster", from.Cluster, "data_dir", n.dir.path, "do", advice)
	}
}

// problem says that a member of another cluster called lately, or nil.
func (f *foreigners) problem() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.at.IsZero() || time.Since(f.at) > foreignFor {
		return nil
	}
	return fmt.Errorf("member %s of another cluster, %s, calls this node: see its log", f.last, f.last.Cluster)
}
