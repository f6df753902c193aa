package cli

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	sheafv1 "github.com/sheafdb/sheaf/api/sheaf/v1"
)

func (a *app) clusterRemoveCommand() *cobra.Command {
	command := &cobra.Command{
		Use:   "remove NAME",
		Short: "end a node's membership and wait until its replicas are gone",
		Long: `End a node's membership, and wait until every group has dropped its replica there. Until
then the node still votes, so stop it only afterwards, and empty its data directory before
it joins again. Ask another member than the one that is to go. A removal without which a
group could not go on is refused.`,
		Example: "  sheaf cluster remove n2",
		Args:    exactArgs(1),
	}
	return a.remote(command, settleTimeout, func(ctx context.Context, node peer, args []string) error {
		ctx, cancel := node.bound(ctx)
		defer cancel()
		if err := a.remove(ctx, node, args[0]); err != nil {
			return err
		}
		_, err := fmt.Fprintf(a.stdout, "%s is no member any more\n", args[0])
		return err
	})
}

func (a *app) remove(ctx context.Context, node peer, name string) error {
	c, err := overview(ctx, node)
	if err != nil {
		return err
	}
	id := uint64(0)
	for _, n := range c.GetNodes() {
		if n.GetName() == name {
			id = n.GetId()
		}
	}
	bounded, cancel := context.WithTimeout(ctx, clusterTimeout)
	defer cancel()
	if err := node.RemoveNode(bounded, name); err != nil {
		return err
	}
	return a.untilCluster(ctx, node, goesOn, func(c *sheafv1.GetClusterResponse) (string, bool) {
		left := 0
		for _, g := range c.GetGroups() {
			if g.GetLeader() == 0 || slices.ContainsFunc(g.GetReplicas(), func(r *sheafv1.ClusterReplica) bool { return r.GetNode() == id }) {
				left++
			}
		}
		return fmt.Sprintf("%s is no member any more and still has a replica in %d groups", name, left), left == 0
	})
}
