// Package cli is the command line of sheafcheck: flags, files, signals, progress and exit
// codes. What it runs is package drive, and what it says is package judge's.
//
// Reports go to standard output, progress and errors to standard error.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/sheafdb/sheaf/internal/check/judge"
)

// The exit codes. Scripts test them: a number never changes its meaning.
const (
	exitHolds        = 0
	exitViolated     = 1
	exitInconclusive = 2
)

const exitCodesHelp = `Exit codes:
  0  what is promised holds
  1  it is violated: the shortest explanation is printed first
  2  not found out: too few operations succeeded, a search took too long, the history
     cannot be read or written, or the command is wrong. This is never a pass.`

// errViolated and errInconclusive end a command whose report has been printed.
var (
	errViolated     = errors.New("violated")
	errInconclusive = errors.New("inconclusive")
)

type app struct {
	stdout, stderr io.Writer
}

// Main runs the program with the arguments after its name and returns its exit code. The
// first SIGINT or SIGTERM ends a run early, and what it has recorded is judged; a second ends
// the process, and the history stays.
func Main(args []string, stdout, stderr io.Writer) int {
	a := &app{stdout, stderr}
	ctx, stop := interruptible()
	defer stop()
	root := a.root()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	switch {
	case err == nil:
		return exitHolds
	case errors.Is(err, errViolated):
		return exitViolated
	case !errors.Is(err, errInconclusive):
		fmt.Fprintln(stderr, "sheafcheck:", err)
	}
	return exitInconclusive
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "sheafcheck",
		Short: "check that a Sheaf server or cluster keeps its promises",
		Long: `sheafcheck makes calls to a Sheaf server or cluster, as callers do, writes down what it
asked and what was answered, and judges whether that agrees with what Sheaf promises.
It uses the public client only, and touches only keys under a prefix of its own.

It breaks nothing by itself: kill, stop and cut off nodes while it runs.

` + exitCodesHelp,
		Example:       "  sheafcheck run --endpoints 127.0.0.1:7450,127.0.0.1:7460,127.0.0.1:7470 --duration 5m\n  sheafcheck verify sheafcheck-20060102-150405.jsonl",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.AddCommand(a.runCommand(), a.verifyCommand())
	return root
}

// interruptible returns a context that the first signal ends.
func interruptible() (ctx context.Context, stop func()) {
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
		os.Exit(exitInconclusive)
	}()
	return ctx, func() {
		signal.Stop(signals)
		cancel()
	}
}

// conclude prints a report and says with what the command ends.
func (a *app) conclude(r *judge.Report) error {
	if err := r.Write(a.stdout); err != nil {
		return err
	}
	switch r.Verdict() {
	case judge.Violated:
		return errViolated
	case judge.Inconclusive:
		return errInconclusive
	case judge.Holds:
	}
	return nil
}

// terminal reports whether a person reads what is written to w.
func terminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
