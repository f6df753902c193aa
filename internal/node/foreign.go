package node

import (
	"fmt"
	"sync"
	"time"

	"github.com/sheafdb/sheaf/internal/peer"
)

// A member whose data directory is gone, and that is started again with --node and --peer-addr,
// begins a cluster of its own: empty, and ready to promise what its cluster will never hear of.
// The members that call it at its old address give it away. Nothing else can: there is nothing on
// its disk, and the members may be away when it begins.

const (
	// foreignFor is how long after such a call a node is not ready. Members try again far more
	// often, and one that has a wrong address is corrected some time.
	foreignFor = 30 * time.Second
	// foreignEvery bounds how often it is worth a line.
	foreignEvery = 10 * time.Second
)

// foreigners are the members of other clusters that called.
type foreigners struct {
	mu     sync.Mutex
	last   peer.Identity
	at     time.Time
	toldAt time.Time
}

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
	advice := "one of the two has a wrong address, or this node a wrong data directory"
	if n.begins.Load() {
		advice = "if this node was one of them, its data directory is lost or not the one it was started with: stop it, and give it the right one, or have a new node take its place (--join, sheaf cluster replace). If not, give it another --peer-addr"
		n.gate.Shut(fmt.Sprintf("members of cluster %s call this node, which has only just begun a cluster of its own: %s", from.Cluster, advice))
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
