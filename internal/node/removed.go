package node

import (
	"context"
	"errors"
	"slices"

	"github.com/sheafdb/sheaf/internal/cluster"
	"github.com/sheafdb/sheaf/internal/peer"
)

// A node that was removed takes nothing from clients any more: what it was given would be lost,
// and what it has grows old. For as long as a group has its replicas it votes on, and then it
// talks to nobody. It learns of it from the table, or, where it was away meanwhile, by being
// turned away.

func (n *Node) isSelf(m cluster.Member) bool { return m.ID == n.dir.identity.ID }

// refuseClients answers every client that this node is no member.
func (n *Node) refuseClients() {
	if n.removed.Swap(true) || n.gate.Draining() {
		return
	}
	n.gate.Shut("this node was removed from cluster " + n.dir.identity.Cluster + ": ask a member")
	n.rpc.Drain()
	n.setState(stateRemoved)
	n.opts.Logger.Error("this node is no member of the cluster any more: stop it when its replicas are gone (sheaf cluster status, at a member)", "cluster", n.dir.identity.Cluster)
}

// leave ends what the node has to do with the others. It does not start again.
func (n *Node) leave() error {
	n.left.Store(true)
	for _, h := range n.hosted {
		n.bridge.Detach(h.id)
	}
	known := slices.DeleteFunc(n.bridge.Members(), n.isSelf)
	n.bridge.Update(0, nil, nil)
	return n.remember(known)
}

// askWhetherRemoved asks the members, when the node hears no leader, whether it is one.
func (n *Node) askWhetherRemoved(ctx context.Context) error {
	if n.left.Load() || n.hosted[0].group.Leader() != 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	_, errs := n.gather(ctx, n.bridge.Members())
	for _, err := range errs {
		var refused *peer.RefusedError
		if errors.As(err, &refused) && refused.Code == peer.CodeRemoved {
			n.refuseClients()
			return n.leave()
		}
	}
	return nil
}
