package cli

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	sheafv1 "github.com/sheafdb/sheaf/api/sheaf/v1"
)

func (a *app) clusterCommand() *cobra.Command {
	command := &cobra.Command{
		Use:   "cluster",
		Short: "see and change a cluster: nodes, groups, leaders",
		Long: `See and change a cluster. Any member can be asked (--addr).

A node becomes a member by being started with --join; see "sheaf cluster add --help".`,
		Example: "  sheaf cluster status\n  sheaf cluster replace n2 n4",
		GroupID: groupNode,
	}
	parent(command)
	command.AddCommand(a.clusterStatusCommand(), a.clusterAddCommand(), a.clusterRemoveCommand(),
		a.clusterReplaceCommand(), a.clusterTransferCommand(), a.clusterRebalanceCommand())
	return command
}

const (
	// clusterTimeout is the default of --timeout where one call is made.
	clusterTimeout = 30 * time.Second
	// settleTimeout bounds what waits for replicas to move; states may be large.
	settleTimeout = time.Hour
	clusterPoll   = 200 * time.Millisecond
)

func (a *app) clusterStatusCommand() *cobra.Command {
	command := &cobra.Command{
		Use:   "status",
		Short: "nodes, groups, leaders, and what is wrong",
		Long: `The cluster's nodes, groups and leaders, how far each replica is behind, and what
is wrong with it and what to do, in words. The exit code is 0 also when something is
wrong; scripts read "problems" of -o json.`,
		Example: "  sheaf cluster status\n  sheaf cluster status -o json | jq -e '.problems | length == 0'",
		Args:    cobra.NoArgs,
	}
	return a.remote(command, clusterTimeout, func(ctx context.Context, node peer, _ []string) error {
		c, err := overview(ctx, node)
		if err != nil {
			return err
		}
		if a.output == jsonForm {
			return a.printMessage(c)
		}
		return a.printCluster(c)
	})
}

func overview(ctx context.Context, node peer) (*sheafv1.GetClusterResponse, error) {
	ctx, cancel := node.bound(ctx)
	defer cancel()
	return node.Cluster(ctx)
}

func (a *app) printCluster(c *sheafv1.GetClusterResponse) error {
	paint := a.paint(a.stdout)
	name := c.GetCluster()
	if name == "" {
		name = "none: this node is alone, and was started without --node"
	}
	fmt.Fprintf(a.stdout, "cluster %s\n\n", name)
	w := columns(a.stdout)
	fmt.Fprintln(w, "NODE\tID\tSTATE\tLEADS\tGRPC\tPEER\tVERSION")
	names := make(map[uint64]string)
	for _, n := range c.GetNodes() {
		names[n.GetId()] = n.GetName()
		state := n.GetState()
		if state == "" && n.GetError() != "" {
			state = "no answer"
		}
		leads := 0
		for _, g := range c.GetGroups() {
			if g.GetLeader() == n.GetId() {
				leads++
			}
		}
		fmt.Fprintf(w, "%s\t%d\t%s\t%d\t%s\t%s\t%s\n", n.GetName(), n.GetId(), state, leads, orDash(n.GetGrpcAddr()), orDash(n.GetPeerAddr()), orDash(n.GetVersion()))
	}
	fmt.Fprintln(w, "\t\t\t\t\t\t")
	fmt.Fprintln(w, "GROUP\tLEADER\tTERM\tCOMMITTED\tREPLICAS")
	for _, g := range c.GetGroups() {
		fmt.Fprintf(w, "%d\t%s\t%d\t%d\t", g.GetGroup(), orDash(names[g.GetLeader()]), g.GetTerm(), g.GetCommitIndex())
		for i, r := range g.GetReplicas() {
			if i > 0 {
				fmt.Fprint(w, ", ")
			}
			fmt.Fprint(w, replicaText(names, r))
		}
		fmt.Fprintln(w)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if len(c.GetProblems()) == 0 {
		_, err := fmt.Fprintln(a.stdout, "\nall is well")
		return err
	}
	fmt.Fprintln(a.stdout)
	for _, problem := range c.GetProblems() {
		if _, err := fmt.Fprintln(a.stdout, paint.bad("! ")+problem); err != nil {
			return err
		}
	}
	return nil
}

func replicaText(names map[uint64]string, r *sheafv1.ClusterReplica) string {
	text := names[r.GetNode()]
	if text == "" {
		text = "node " + strconv.FormatUint(r.GetNode(), 10)
	}
	switch {
	case !r.GetVoter():
		return fmt.Sprintf("%s (learns, %d behind)", text, r.GetLag())
	case !r.GetActive():
		return text + " (away)"
	case r.GetLag() > 0:
		return fmt.Sprintf("%s (%d behind)", text, r.GetLag())
	}
	return text
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

func (a *app) clusterAddCommand() *cobra.Command {
	command := &cobra.Command{
		Use:   "add NAME",
		Short: "wait until a node that joins has a vote in every group",
		Long: `Wait until a node that joins has a replica with a vote in every group.

Start the node first, on its own machine, naming any member:

  sheaf serve --node n4 --peer-addr HOST:7453 --join MEMBER:7453

It gets a copy of every group's state, learns what is written meanwhile, and votes when it
has caught up. That goes on by itself; this command only watches it.`,
		Example: "  sheaf cluster add n4",
		Args:    exactArgs(1),
	}
	return a.remote(command, settleTimeout, func(ctx context.Context, node peer, args []string) error {
		ctx, cancel := node.bound(ctx)
		defer cancel()
		if err := joinable(ctx, node); err != nil {
			return err
		}
		next := fmt.Sprintf("when %s is started with --join, it goes on by itself: \"sheaf cluster status\" shows how far it is; --timeout says how long to wait", args[0])
		if err := a.untilMember(ctx, node, args[0], next); err != nil {
			return err
		}
		_, err := fmt.Fprintf(a.stdout, "%s has a vote in every group\n", args[0])
		return err
	})
}

// untilMember waits until a node votes in all groups, and says how far it is.
func (a *app) untilMember(ctx context.Context, node clusterView, name, next string) error {
	return a.untilCluster(ctx, node, next, func(c *sheafv1.GetClusterResponse) (string, bool) {
		at := slices.IndexFunc(c.GetNodes(), func(n *sheafv1.ClusterNode) bool { return n.GetName() == name })
		if at < 0 {
			return fmt.Sprintf("%s is no member yet: start it with --node %s --peer-addr HOST:PORT --join %s", name, name, c.GetNodes()[0].GetPeerAddr()), false
		}
		votes, learns, behind := 0, 0, uint64(0)
		for _, g := range c.GetGroups() {
			for _, r := range g.GetReplicas() {
				switch {
				case r.GetNode() != c.GetNodes()[at].GetId():
				case r.GetVoter():
					votes++
				default:
					learns++
					behind += r.GetLag()
				}
			}
		}
		return fmt.Sprintf("%s votes in %d of %d groups, learns in %d, %d log entries behind", name, votes, len(c.GetGroups()), learns, behind), votes == len(c.GetGroups())
	})
}

func (a *app) clusterTransferCommand() *cobra.Command {
	command := &cobra.Command{
		Use:     "transfer-leader GROUP NODE",
		Short:   "have a node lead a group",
		Long:    "Have a node lead a group, and wait until it does. Nodes spread the leads by themselves,\nso with several groups this lasts until they see a reason to move them.",
		Example: "  sheaf cluster transfer-leader 1 n2",
		Args:    exactArgs(2),
	}
	return a.remote(command, clusterTimeout, func(ctx context.Context, node peer, args []string) error {
		group, err := strconv.ParseUint(args[0], 10, 64)
		if err != nil {
			return fmt.Errorf("GROUP is %q: give the number of a group", args[0])
		}
		ctx, cancel := node.bound(ctx)
		defer cancel()
		if err := node.TransferLeader(ctx, group, args[1]); err != nil {
			return err
		}
		_, err = fmt.Fprintf(a.stdout, "%s leads group %d\n", args[1], group)
		return err
	})
}

func (a *app) clusterRebalanceCommand() *cobra.Command {
	command := &cobra.Command{
		Use:   "rebalance",
		Short: "spread the leads of the groups over the nodes now",
		Long: `Spread the leads of the groups over the nodes that answer, now, and say what was
moved. Nodes do that by themselves too, one group every two seconds.`,
		Example: "  sheaf cluster rebalance",
		Args:    cobra.NoArgs,
	}
	return a.remote(command, clusterTimeout, func(ctx context.Context, node peer, _ []string) error {
		ctx, cancel := node.bound(ctx)
		defer cancel()
		for {
			c, err := node.Cluster(ctx)
			if err != nil {
				return err
			}
			group, to := nextMove(c)
			if group == 0 {
				_, err := fmt.Fprintln(a.stdout, "the leads are spread")
				return err
			}
			if err := node.TransferLeader(ctx, group, to); err != nil {
				return err
			}
			if _, err := fmt.Fprintf(a.stdout, "group %d: %s leads\n", group, to); err != nil {
				return err
			}
		}
	})
}

// nextMove returns a group of the node with the most leads and the node with the fewest, if
// moving one makes a difference; group 0 is none.
func nextMove(c *sheafv1.GetClusterResponse) (group uint64, to string) {
	leads := make(map[uint64]int)
	for _, g := range c.GetGroups() {
		leads[g.GetLeader()]++
	}
	var most, least *sheafv1.ClusterNode
	for _, n := range c.GetNodes() {
		if n.GetError() != "" {
			continue
		}
		if most == nil || leads[n.GetId()] > leads[most.GetId()] {
			most = n
		}
		if least == nil || leads[n.GetId()] < leads[least.GetId()] {
			least = n
		}
	}
	if most == nil || leads[most.GetId()] < leads[least.GetId()]+2 {
		return 0, ""
	}
	for _, g := range c.GetGroups() {
		if g.GetLeader() == most.GetId() {
			return g.GetGroup(), least.GetName()
		}
	}
	return 0, ""
}
