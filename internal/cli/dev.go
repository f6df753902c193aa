package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/sheafdb/sheaf/internal/config"
	"github.com/sheafdb/sheaf/internal/node"
	"github.com/sheafdb/sheaf/internal/telemetry"
)

// throwaway is a cluster for trying things.
type throwaway struct {
	nodes, groups, basePort int
	store, level            string
}

const (
	maxDevNodes = 9
	// portsApart is the distance of the ports of two nodes.
	portsApart = 10
)

func (a *app) devCommand() *cobra.Command {
	var d throwaway
	command := &cobra.Command{
		Use:   "dev",
		Short: "run a throwaway node, or a cluster of several, for trying things",
		Long: `Run one node, or with --nodes a cluster of several in this one process, on data that is
removed at the end, also when a second signal ends the process at once. One line for each node
says where it is.

The first node has the ports of "sheaf serve" (7450 for gRPC, 7451 HTTP, 7452 admin, 7453
for other nodes), the second 7460 to 7463, and so on; --base-port moves them all.`,
		Example: "  sheaf dev\n  sheaf dev --nodes 3 --groups 4",
		GroupID: groupNode,
		Args:    cobra.NoArgs,
		RunE:    func(command *cobra.Command, _ []string) error { return a.dev(command.Context(), d) },
	}
	flags := command.Flags()
	flags.IntVar(&d.nodes, "nodes", 1, "how many nodes, 1 to 9")
	flags.IntVar(&d.groups, "groups", 1, "how many replica groups")
	flags.StringVar(&d.store, "store", "memory", "pebble, memory or syncmap")
	flags.IntVar(&d.basePort, "base-port", 7450, "gRPC port of the first node")
	flags.StringVar(&d.level, "logging-level", "error", "least important log line that is written: debug, info, warn or error")
	must(command.RegisterFlagCompletionFunc("store", cobra.FixedCompletions(config.Stores, cobra.ShellCompDirectiveNoFileComp)))
	return command
}

func (a *app) dev(ctx context.Context, d throwaway) (err error) {
	if d.nodes < 1 || d.nodes > maxDevNodes {
		return fmt.Errorf("--nodes is %d: give it 1 to %d", d.nodes, maxDevNodes)
	}
	logger, err := telemetry.NewLogger(a.stderr, d.level, "auto")
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "sheaf-dev-")
	if err != nil {
		return err
	}
	a.doomed.Store(&dir)
	defer func() { err = errors.Join(err, discard(dir)) }()

	nodes, errs := make([]*node.Node, d.nodes), make([]error, d.nodes)
	starting, cancel := context.WithCancel(ctx)
	defer cancel()
	var all sync.WaitGroup
	for i := range nodes { // side by side: they wait for each other
		c := d.config(i, dir)
		all.Go(func() {
			options := node.Options{Version: currentVersion().Version, Logger: logger.With("of", c.Node)}
			if nodes[i], errs[i] = node.Start(starting, c, options); errs[i] != nil {
				cancel()
			}
		})
	}
	all.Wait()
	defer func() {
		for _, n := range nodes {
			if n != nil {
				all.Go(func() { _ = n.Stop(context.WithoutCancel(ctx)) }) // its data goes anyway
			}
		}
		all.Wait()
	}()
	for _, err := range errs {
		if port, ok := errors.AsType[*node.PortError](err); ok {
			return fmt.Errorf("listen on %s: %w: choose other ports with --base-port", port.Addr, port.Err)
		}
		if err != nil && !errors.Is(err, context.Canceled) {
			return err
		}
	}
	if ctx.Err() != nil {
		return cannotStart(ctx, ctx.Err())
	}
	a.announceAll(nodes, d)
	failed := make(chan error, len(nodes))
	for _, n := range nodes {
		go func() {
			<-n.Done()
			failed <- n.Err()
		}()
	}
	select {
	case err := <-failed:
		return fmt.Errorf("a node failed: %w", err)
	case <-ctx.Done():
		return nil
	}
}

// discardAttempts bounds how often a directory is removed in which nodes still make files.
const discardAttempts = 20

// discard removes a directory, be it in use or not.
func discard(dir string) (err error) {
	for range discardAttempts {
		if err = os.RemoveAll(dir); err == nil {
			return nil
		}
	}
	return err
}

// config is that of one node.
func (d throwaway) config(i int, dir string) config.Config {
	c := config.Default()
	c.DataDir, c.Store, c.Groups = filepath.Join(dir, d.name(i)), d.store, d.groups
	c.GRPCAddr, c.HTTPAddr, c.AdminAddr = d.addr(i, 0), d.addr(i, 1), d.addr(i, 2)
	c.Node, c.PeerAddr = d.name(i), d.addr(i, 3)
	if d.nodes > 1 {
		var members []string
		for j := range d.nodes {
			members = append(members, d.name(j)+"="+d.addr(j, 3))
		}
		c.Cluster = strings.Join(members, ",")
	}
	return c
}

func (d throwaway) name(i int) string { return "n" + strconv.Itoa(i+1) }

func (d throwaway) addr(i, port int) string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(d.basePort+i*portsApart+port))
}

// announceAll prints where the nodes are, and what to try.
func (a *app) announceAll(nodes []*node.Node, d throwaway) {
	paint := a.paint(a.stdout)
	for i, n := range nodes {
		grpc, http, admin := n.Addrs()
		fmt.Fprintf(a.stdout, "%s  grpc %s  http %s  admin %s  peer %s\n", paint.bold(d.name(i)), grpc, http, admin, d.addr(i, 3))
	}
	program := programName(os.Args[0])
	first, _, _ := nodes[0].Addrs()
	last, _, _ := nodes[len(nodes)-1].Addrs()
	fmt.Fprintf(a.stdout, "%s the data is removed at the end (Ctrl-C)\n", paint.dim("ready:"))
	fmt.Fprintf(a.stdout, "%s %s put hello world --addr %s && %s get hello --addr %s && %s cluster status --addr %s\n",
		paint.dim("try:"), program, first, program, last, program, first)
}
