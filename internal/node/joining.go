package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sheafdb/sheaf/internal/cluster"
	"github.com/sheafdb/sheaf/internal/wire"
)

// A node joins by asking any member, which enters it in the table. What keeps it from ever being
// a member is said before that, since an entry would have to be removed again.

// admit is what another node's wish to join comes to.
func (n *Node) admit(ctx context.Context, w cluster.Wish) (cluster.Welcome, error) {
	if !n.up.Load() {
		return cluster.Welcome{}, errors.New("this node does not serve yet: try again")
	}
	members, err := n.hosted[0].group.Members()
	if err != nil {
		return cluster.Welcome{}, err
	}
	if members.Last == 0 || members.Last < uint64(len(n.dir.identity.Members)) {
		return cluster.Welcome{}, errors.New("the cluster is only just beginning: try again")
	}
	if why := n.unfit(ctx, w, members); why != "" {
		return cluster.Welcome{Refused: why}, nil
	}
	id, err := n.joinMember(ctx, w.Member)
	if err != nil {
		return cluster.Welcome{}, err
	}
	if err := n.hosted[0].group.Current(ctx); err != nil {
		return cluster.Welcome{}, err
	}
	if members, err = n.hosted[0].group.Members(); err != nil {
		return cluster.Welcome{}, err
	}
	n.changed()
	return cluster.Welcome{ID: id, Groups: n.dir.identity.Groups, Store: n.cfg.Store, Members: members.All}, nil
}

// unfit says why a node cannot be a member as it is.
func (n *Node) unfit(ctx context.Context, w cluster.Wish, members wire.Members) string {
	switch {
	case !wire.ValidName(w.Name):
		return fmt.Sprintf("%q is no name of a node: use %s", w.Name, wire.NameRule)
	case w.Store != n.cfg.Store:
		return fmt.Sprintf("the cluster uses the %s store, and this node %s: start it with --store %s", n.cfg.Store, w.Store, n.cfg.Store)
	case w.Groups != 0 && w.Groups != n.dir.identity.Groups:
		return fmt.Sprintf("the cluster has %d groups, not %d: start without --groups", n.dir.identity.Groups, w.Groups)
	}
	for _, m := range members.All {
		if m.Addr == w.Addr && m.Name != w.Name && n.answers(ctx, m.ID) { // one that is down may be replaced there
			return fmt.Sprintf("%s is the address of the member %s, which answers there: give this node its own with --peer-addr", w.Addr, m.Name)
		}
	}
	return ""
}

// answers asks a member whether it is there.
func (n *Node) answers(ctx context.Context, id uint64) bool {
	if id == n.dir.identity.ID {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	_, err := n.ask(ctx, id)
	return err == nil
}

// joinCluster makes a new node a member of a cluster that is there.
func (n *Node) joinCluster(ctx context.Context) error {
	id := &n.dir.identity
	if err := n.dir.forming(); err != nil {
		return err
	}
	id.ID = 0
	me := cluster.Member{Name: n.cfg.Node, Addr: n.cfg.PeerAddr, Disk: id.NodeID}
	if err := n.connect([]cluster.Member{me}); err != nil {
		return err
	}
	n.setState(stateForming)
	name, addr := "", n.cfg.Join
	if before, after, named := cutName(n.cfg.Join); named {
		name, addr = before, after
	}
	n.opts.Logger.Info("joining a cluster", "node", n.cfg.Node, "at", addr)
	var told time.Time
	for {
		w, err := n.bridge.Join(ctx, name, addr, n.cfg.Groups)
		if err == nil {
			return n.joined(w)
		}
		if time.Since(told) > 2*time.Second {
			told = time.Now()
			n.opts.Logger.Warn("the cluster has not let this node in yet", "at", addr, "err", err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("join the cluster at %s: %w", addr, errors.Join(err, ctx.Err()))
		case <-time.After(joinEvery):
		}
	}
}

// joinEvery is how often a node asks again that was not let in.
const joinEvery = 500 * time.Millisecond

func (n *Node) joined(w cluster.Welcome) error {
	id := &n.dir.identity
	if w.Refused != "" {
		return errors.New(w.Refused)
	}
	id.ID, id.Cluster, id.Groups, id.Known, id.Joined = w.ID, w.Cluster, w.Groups, w.Members, true
	n.bridge.Joined(w)
	n.setState(stateRecovering)
	n.opts.Logger.Info("member of the cluster", "cluster", w.Cluster, "node", n.cfg.Node, "id", w.ID)
	return nil
}
