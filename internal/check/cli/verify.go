package cli

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sheafdb/sheaf/internal/check/judge"
)

// judging are the flags that both commands have.
type judging struct {
	minOK      judge.Floor
	killed     bool
	lostOK     int
	searchTime time.Duration
}

func (j *judging) flags(flags *pflag.FlagSet) {
	flags.StringVar((*string)(&j.minOK), "min-ok", string(judge.DefaultFloor), "how many operations of each workload must succeed: a share, or a number")
	flags.BoolVar(&j.killed, "killed", false, "nodes are killed meanwhile: a process that ends may lose what it accepted last at EVENTUAL")
	flags.IntVar(&j.lostOK, "lost-ok", 0, "how many batches accepted at EVENTUAL may be lost without a kill")
	flags.DurationVar(&j.searchTime, "search-time", judge.DefaultSearchTime, "how long one search for an order may take")
}

func (a *app) verifyCommand() *cobra.Command {
	var j judging
	command := &cobra.Command{
		Use: "verify FILE", Short: "judge what a run has recorded",
		Long: `verify judges a history that run has recorded, also one that was cut short: a call
without a return is one whose outcome is unknown. --min-ok, --killed and --lost-ok are
those of the run unless they are given.

` + exitCodesHelp,
		Example: "  sheafcheck verify sheafcheck-20060102-150405.jsonl",
		Args:    cobra.ExactArgs(1),
	}
	flags := command.Flags()
	j.flags(flags)
	command.RunE = func(_ *cobra.Command, args []string) error {
		options := judge.Options{SearchTime: j.searchTime}
		if flags.Changed("min-ok") {
			options.MinOK = j.minOK
		}
		if flags.Changed("killed") {
			options.Killed = &j.killed
		}
		if flags.Changed("lost-ok") {
			options.LostOK = &j.lostOK
		}
		report, err := judgeFile(args[0], options)
		if err != nil {
			return err
		}
		return a.conclude(report)
	}
	return command
}

func judgeFile(name string, options judge.Options) (_ *judge.Report, err error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	report, err := judge.History(file, options)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return report, nil
}
