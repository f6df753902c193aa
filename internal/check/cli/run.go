package cli

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/check/drive"
	"github.com/sheafdb/sheaf/internal/check/history"
	"github.com/sheafdb/sheaf/internal/check/judge"
)

// runFlags are what run is asked for.
type runFlags struct {
	connection
	judging
	drive.Config
	workload, level, history string
	clean                    bool
}

const runLong = `run makes calls for a while, then judges them as verify does. What it asked and what was
answered goes to a file of JSON lines, each call before it is made, so that nothing is lost
when the program is killed: "sheafcheck verify FILE" judges what there is.

The workloads:
  register  single keys: reads, writes, deletes, conditions
  batches   small sets of keys, written and read as a whole and in part
  bank      transfers between accounts, whose sum stays
  stamps    many keys that always have the same value
  append    lists, whose order tells who wrote when
  sessions  SEQUENTIAL: a session never sees less than it has seen
  eventual  EVENTUAL: all nodes agree in the end, and nothing accepted is lost without a kill
  watch     watches and syncs, from node to node: every batch comes once, whole, in the order
            of its keys, and exactly what is not in the picture

When nodes are killed while it runs, say so with --killed: a process that ends may lose what
it had accepted last at EVENTUAL, which is then reported and not held against it. Name each
node by itself, not one address for many: which process lives is seen by its uptime.

` + exitCodesHelp

const runExample = `  sheafcheck run
  sheafcheck run --endpoints 127.0.0.1:7450,127.0.0.1:7460,127.0.0.1:7470 --duration 5m --killed
  sheafcheck run --workload bank,append --clients 20 --seed 42 --history bank.jsonl`

func (a *app) runCommand() *cobra.Command {
	f := runFlags{Config: drive.DefaultConfig()}
	command := &cobra.Command{
		Use: "run", Short: "make calls, record them, and judge them",
		Long: runLong, Example: runExample, Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error { return a.run(command.Context(), &f) },
	}
	flags := command.Flags()
	flags.SortFlags = false
	flags.StringSliceVar(&f.Endpoints, "endpoints", f.Endpoints, "host:port of the nodes' gRPC faces")
	flags.StringVar(&f.workload, "workload", "all", "workloads, by commas: all, "+strings.Join(drive.Names(sheaf.Linearizable), ", "))
	flags.StringVar(&f.level, "level", "linearizable", "level of register and batches: linearizable or sequential; the others have their own")
	flags.DurationVar(&f.Duration, "duration", f.Duration, "how long calls are begun")
	flags.IntVar(&f.Clients, "clients", f.Clients, "how many clients call at the same time, of all workloads together")
	flags.Uint64Var(&f.Seed, "seed", 0, "decides what the clients do, not when; 0 draws one")
	flags.StringVar(&f.history, "history", "", "file to record in; it must not exist (default sheafcheck-TIME.jsonl)")
	flags.StringVar(&f.Prefix, "prefix", "", "what all keys begin with; nobody else may use it (default: drawn)")
	flags.DurationVar(&f.CallTimeout, "call-timeout", f.CallTimeout, "how long one call may take")
	flags.DurationVar(&f.Settle, "settle", f.Settle, "how long unknown outcomes, last reads and the ends of watches are tried at the end")
	flags.BoolVar(&f.clean, "clean", false, "delete the run's keys afterwards, if nothing is wrong")
	f.judging.flags(flags)
	f.connection.flags(flags)
	return command
}

// complete fills in what was left open, and says what is wrong.
func (f *runFlags) complete() (err error) {
	if f.Level, err = sheaf.ParseConsistency(f.level); err != nil {
		return fmt.Errorf("--level: %w", err)
	}
	f.Workloads = slices.Compact(strings.Split(f.workload, ","))
	if f.workload == "all" {
		f.Workloads = drive.Names(f.Level)
	}
	if f.Seed == 0 {
		f.Seed = rand.Uint64N(1 << 32)
	}
	if f.Prefix == "" {
		f.Prefix = "sheafcheck-" + uuid.NewString()[:8] + "/"
	}
	if f.history == "" {
		f.history = time.Now().Format("sheafcheck-20060102-150405.jsonl")
	}
	if f.Options, err = f.connection.options(); err != nil {
		return err
	}
	return errors.Join(f.Config.Validate(), f.minOK.Validate())
}

func (a *app) run(ctx context.Context, f *runFlags) error {
	if err := f.complete(); err != nil {
		return err
	}
	if err := reach(ctx, f.Endpoints, f.Options); err != nil {
		return err
	}
	file, err := create(f.history)
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // what matters has been synced
	recorder, err := history.NewRecorder(file, &history.Run{
		Endpoints: f.Endpoints, Workloads: f.Workloads, Level: f.Level.String(), Clients: f.Clients,
		Seed: f.Seed, Prefix: f.Prefix, Killed: f.killed, LostOK: f.lostOK, MinOK: string(f.minOK),
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(a.stderr, "%s for %s, %d clients, seed %d, prefix %s, history %s\n",
		strings.Join(f.Workloads, " "), f.Duration, f.Clients, f.Seed, f.Prefix, f.history)
	if err := a.drive(ctx, f, recorder); err != nil {
		return err
	}
	fmt.Fprintf(a.stderr, "judging %s\n", f.history)
	report, err := judgeFile(f.history, judge.Options{SearchTime: f.searchTime})
	if err != nil {
		return err
	}
	if f.clean && report.Verdict() == judge.Holds {
		n, err := drive.Clean(context.WithoutCancel(ctx), f.Endpoints[0], f.Prefix, f.Options)
		if err != nil {
			fmt.Fprintln(a.stderr, "sheafcheck:", err)
		}
		fmt.Fprintf(a.stderr, "deleted %d keys\n", n)
	}
	return a.conclude(report)
}

// drive runs the workloads, with progress for a person.
func (a *app) drive(ctx context.Context, f *runFlags, recorder *history.Recorder) error {
	var counts drive.Counts
	telling, stop := context.WithCancel(ctx)
	told := make(chan struct{})
	go func() {
		defer close(told)
		if terminal(a.stderr) {
			tell(telling, a.stderr, &counts)
		}
	}()
	err := drive.Run(ctx, f.Config, recorder, &counts)
	stop()
	<-told
	if err == nil && ctx.Err() != nil {
		fmt.Fprintln(a.stderr, "stopped: judging what was recorded")
	}
	return err
}

// create makes a file that does not exist, and makes sure that it does after a power cut.
func create(name string) (*os.File, error) {
	file, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("--history: %w", err)
	}
	dir, err := os.Open(filepath.Dir(name))
	if err == nil {
		err = errors.Join(dir.Sync(), dir.Close())
	}
	return file, err
}
