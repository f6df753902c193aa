package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	sheafv1 "github.com/sheafdb/sheaf/api/sheaf/v1"
)

func (a *app) clusterReplaceCommand() *cobra.Command {
	command := &cobra.Command{
		Use:   "replace OLD NEW",
		Short: "have a new node take the place of another, dead or alive",
		Long: `Have a new node take the place of another, which may be dead: wait until NEW, which
must be started with --join, has a vote in every group, and then remove OLD. At no moment
is there one copy less than before, so NEW must be the node that joined last, or one that
has yet to join.`,
		Example: "  sheaf cluster replace n2 n4",
		Args:    exactArgs(2),
	}
	return a.remote(command, settleTimeout, func(ctx context.Context, node peer, args []string) error {
		ctx, cancel := node.bound(ctx)
		defer cancel()
		if err := joinable(ctx, node); err != nil {
			return err
		}
		c, err := overview(ctx, node)
		if err != nil {
			return err
		}
		if err := replaceable(c, args[0], args[1]); err != nil {
			return err
		}
		if err := a.untilMember(ctx, node, args[1], fmt.Sprintf(staysMember, args[0], args[1])); err != nil {
			return err
		}
		if err := a.remove(ctx, node, args[0]); err != nil {
			return err
		}
		_, err = fmt.Fprintf(a.stdout, "%s has taken the place of %s\n", args[1], args[0])
		return err
	})
}

// staysMember is what follows when the new node has not come in time.
const staysMember = "%[1]s is still a member, and does not go by itself: when %[2]s runs, started with --join, run this again; --timeout says how long to wait"

// replaceable says why a node cannot take the place of another, before anything is done.
func replaceable(c *sheafv1.GetClusterResponse, leaves, comes string) error {
	var left, right, last *sheafv1.ClusterNode
	for _, n := range c.GetNodes() {
		switch n.GetName() {
		case leaves:
			left = n
		case comes:
			right = n
		}
		if last == nil || n.GetId() > last.GetId() {
			last = n
		}
	}
	var problem string
	switch {
	case leaves == comes:
		problem = fmt.Sprintf("%s cannot take its own place: start a new node under another name", leaves)
	case left == nil:
		problem = leaves + " is no member"
	case right == nil:
		return nil
	case right.GetFirst() || right != last || right.GetId() < left.GetId():
		problem = fmt.Sprintf("%s was a member before, so this would only remove %s: start a new node with --join, or see sheaf cluster remove", comes, leaves)
	default:
		return nil
	}
	return &exitError{code: exitNotApplied, err: fmt.Errorf("%s; nothing was done", problem), next: `"sheaf cluster status" shows the members`}
}
