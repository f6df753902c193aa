// Package cli is the command line of Sheaf: one file per command, with what they
// share (the connection, exit codes, errors, NDJSON) in files of its own.
//
// Commands write results to standard output and everything else (errors,
// progress, logs) to standard error. The exit codes of exit.go are a contract
// that scripts depend on. Nothing here knows how a node works: serve starts one
// through package node, every other command is a client.
package cli

import (
	"context"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// app is one run of the program.
type app struct {
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer
	env    []string
	// output is the value of -o.
	output outputForm
	// doomed is a directory that goes with the process, also with one that a second signal
	// ends at once.
	doomed *atomic.Pointer[string]
}

// Main runs the program with the arguments after its name and an environment in
// the form of os.Environ, and returns its exit code. The first SIGINT or SIGTERM
// asks the command to end in good order; a second ends the process at once.
func Main(args []string, stdin io.Reader, stdout, stderr io.Writer, env []string) int {
	a := &app{stdin: stdin, stdout: stdout, stderr: stderr, env: env, output: table, doomed: new(atomic.Pointer[string])}
	ctx, stop := a.interruptible()
	defer stop()

	root := a.root()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	command, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitDone
	}
	return a.report(command, err)
}

// interruptible returns a context that the first signal ends.
func (a *app) interruptible() (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		select {
		case <-signals:
			cancel()
		case <-ctx.Done():
			return
		}
		<-signals
		if dir := a.doomed.Load(); dir != nil {
			_ = discard(*dir) // nobody is left to tell
		}
		os.Exit(exitInterrupted)
	}()
	return ctx, func() {
		signal.Stop(signals)
		cancel()
	}
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "sheaf",
		Short: "a key-value store built around PutAll: batches of keys, all or nothing, never twice",
		Long: `Sheaf is a key-value store built around one operation, PutAll: write a batch of
keys, all or nothing, and never twice however often it is retried.

Start a node with "sheaf serve"; every other command talks to one, at --addr or
SHEAF_ADDR.

` + exitCodesHelp,
		Example:       "  sheaf serve\n  sheaf put hello world && sheaf get hello",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetFlagErrorFunc(unknownFlag)
	root.PersistentFlags().VarP(&a.output, "output", "o", "form of the output: table or json")
	must(root.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"table", "json"}, cobra.ShellCompDirectiveNoFileComp)))
	root.AddGroup(
		&cobra.Group{ID: groupNode, Title: "Run a node:"},
		&cobra.Group{ID: groupKeys, Title: "Read and write keys:"},
		&cobra.Group{ID: groupBulk, Title: "Move many keys:"},
		&cobra.Group{ID: groupLook, Title: "Look and learn:"},
	)
	root.SetHelpCommandGroupID(groupLook)
	root.SetCompletionCommandGroupID(groupLook)
	root.AddCommand(
		a.serveCommand(), a.devCommand(), a.clusterCommand(), a.backupCommand(), a.restoreCommand(), a.configCommand(),
		a.putCommand(), a.getCommand(), a.deleteCommand(), a.putallCommand(), a.scanCommand(), a.watchCommand(),
		a.importCommand(), a.exportCommand(),
		a.statusCommand(), a.benchCommand(), a.errorsCommand(), a.versionCommand(),
	)
	return root
}

const (
	groupNode = "node"
	groupKeys = "keys"
	groupBulk = "bulk"
	groupLook = "look"
)

// getenv is the last value of a variable, as the operating system reads it.
func (a *app) getenv(name string) string {
	value := ""
	for _, pair := range a.env {
		if v, ok := strings.CutPrefix(pair, name+"="); ok {
			value = v
		}
	}
	return value
}

// terminal reports whether a person reads what is written to w.
func terminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// must is for mistakes of this package that a run of any test shows.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
