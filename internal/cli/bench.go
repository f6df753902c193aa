package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/client"
)

// benchFlags are those of `sheaf bench`.
type benchFlags struct {
	mode       string
	rate       rateFlag
	callers    int
	entries    int
	keyBytes   sizeFlag
	valueBytes sizeFlag
	duration   time.Duration
	keys       uint64
	level      level
}

const (
	closedLoop = "closed"
	openLoop   = "open"
	// minKeyBytes is "bench/" and sixteen hexadecimal digits.
	minKeyBytes = 22
	maxCallers  = 1000
)

func (a *app) benchCommand() *cobra.Command {
	f := benchFlags{keyBytes: 32, valueBytes: 128}
	command := &cobra.Command{
		Use:   "bench",
		Short: "measure a running node with batches",
		Long: `Measure a running node by writing batches below the prefix "bench/".

  closed  each caller sends its next batch when the last one is answered. This
          finds the throughput; its latencies leave out the time that batches
          would have waited, because nobody sends while the node is slow.
  open    batches are due at a constant --rate, whatever the node does. A
          latency is measured from when the batch was due, so a stall counts for
          every batch that it held up (no coordinated omission).

--keys is the size of the key space; batches overwrite keys drawn from it.`,
		Example: `  sheaf bench --callers 16 --duration 30s
  sheaf bench --mode open --rate 200/s --callers 64 -o json`,
		GroupID: groupLook,
		Args:    cobra.NoArgs,
	}
	flags := command.Flags()
	flags.StringVar(&f.mode, "mode", closedLoop, "closed or open loop")
	flags.Var(&f.rate, "rate", "batches due per second in an open loop, such as 200/s")
	flags.IntVar(&f.callers, "callers", 4, "batches at work at a time, at most")
	flags.IntVar(&f.entries, "entries", 1000, "entries of a batch")
	flags.Var(&f.keyBytes, "key-bytes", "length of a key")
	flags.Var(&f.valueBytes, "value-bytes", "length of a value")
	flags.DurationVar(&f.duration, "duration", 10*time.Second, "how long to measure")
	flags.Uint64Var(&f.keys, "keys", 100_000, "how many different keys there are")
	addLevel(command, &f.level)
	must(command.RegisterFlagCompletionFunc("mode", cobra.FixedCompletions([]string{closedLoop, openLoop}, cobra.ShellCompDirectiveNoFileComp)))
	return a.remote(command, callTimeout, func(ctx context.Context, node peer, _ []string) error {
		if err := f.validate(); err != nil {
			return err
		}
		return a.runBench(ctx, node, f)
	})
}

func (f *benchFlags) validate() error {
	limits := sheaf.DefaultLimits()
	switch {
	case f.mode != closedLoop && f.mode != openLoop:
		return fmt.Errorf("--mode is %q: use closed or open", f.mode)
	case f.mode == openLoop && f.rate <= 0:
		return errors.New("an open loop needs --rate, such as 200/s")
	case f.mode == closedLoop && f.rate > 0:
		return errors.New("--rate belongs to --mode open")
	case f.callers < 1 || f.callers > maxCallers:
		return fmt.Errorf("--callers is %d: use 1 to %d", f.callers, maxCallers)
	case f.entries < 1 || f.entries > limits.BatchEntries:
		return fmt.Errorf("--entries is %d: use 1 to %d", f.entries, limits.BatchEntries)
	case f.keys < uint64(f.entries):
		return fmt.Errorf("--keys is %d: it must be at least --entries, because a batch names a key once", f.keys)
	case f.keyBytes < minKeyBytes || int(f.keyBytes) > limits.KeyBytes:
		return fmt.Errorf("--key-bytes is %d: use %d to %d", f.keyBytes, minKeyBytes, limits.KeyBytes)
	case f.valueBytes < 0 || int(f.valueBytes) > limits.ValueBytes:
		return fmt.Errorf("--value-bytes is %d: use 0 to %d", f.valueBytes, limits.ValueBytes)
	case f.duration <= 0:
		return fmt.Errorf("--duration is %s: it must be positive", f.duration)
	}
	return nil
}

func (a *app) runBench(ctx context.Context, node peer, f benchFlags) error {
	// The first call connects: that is not what is measured.
	status, err := node.Status(ctx)
	if err != nil {
		return err
	}
	b := bench{
		callers: f.callers, duration: f.duration,
		load: newWorkload(f.keys, f.entries, int(f.keyBytes), int(f.valueBytes)),
		write: func(ctx context.Context, entries []sheaf.Entry) (attempts int, err error) {
			ctx, cancel := node.bound(ctx)
			defer cancel()
			result, err := node.PutAll(ctx, entries, client.At(f.level.Consistency))
			return result.Attempts, err
		},
	}
	if f.mode == openLoop {
		b.interval = time.Duration(float64(time.Second) / float64(f.rate))
	}
	r, err := b.run(ctx)
	r.Mode, r.Store, r.Level = f.mode, status.GetStore(), f.level.String()
	if r.Batches == 0 && err != nil {
		return err
	}
	if err := a.printBench(r); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return &exitError{code: exitInterrupted, err: errors.New("interrupted: the figures are of the time until then"), next: "run it again"}
	}
	return nil
}

// rateFlag is a number per second: 200, 0.5, 200/s.
type rateFlag float64

// String is for pflag.
func (r *rateFlag) String() string { return strconv.FormatFloat(float64(*r), 'g', -1, 64) }

// Type is for pflag.
func (r *rateFlag) Type() string { return "rate" }

// Set is for pflag.
func (r *rateFlag) Set(text string) error {
	n, err := strconv.ParseFloat(strings.TrimSuffix(text, "/s"), 64)
	if err != nil || !(n > 0 && n <= 1e6) {
		return fmt.Errorf("%q is not a rate: write batches per second as 200 or 200/s, at most 1000000", text)
	}
	*r = rateFlag(n)
	return nil
}
