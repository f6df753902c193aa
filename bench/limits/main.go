// Command limits measures how close PutAll comes to what the machine allows.
//
//	go -C bench run ./limits
//
// Four contestants do the same work, batches of 1,000 entries that are on disk
// when the call returns: the disk alone (fdatasync), Pebble in this process, and
// a `sheaf serve` process with each store behind the public client. They take
// turns, round by round, so that a machine which is busy for a while is busy for
// all of them; the numbers are medians over the rounds.
//
// Turns and meters are those of bench/contest.
//
// The package builds the server from the tree around it and reads /proc, so it
// runs on Linux, inside the bench module. It measures on one machine: client and
// server share its cores. It does not measure reads, and decides nothing: it
// prints tables and, with -json, the numbers of every round.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/sheafdb/sheaf/bench/contest"
	"github.com/sheafdb/sheaf/bench/measure"
)

// plan is what to measure and for how long.
type plan struct {
	Callers []int         `json:"callers"`
	Rounds  int           `json:"rounds"`
	Timed   time.Duration `json:"timed_ns"`
	WarmUp  time.Duration `json:"warm_up_ns"`
	only    []string      // names of contestants; empty is all
	parent  string        // where the temporary directory is made
	json    string        // file for the numbers, or ""
}

// warmUp is run before each timed part and counts for neither rate nor latency.
const warmUp = 500 * time.Millisecond

func main() {
	p, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "limits:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second signal ends the process at once; the kernel then ends the servers.
	context.AfterFunc(ctx, stop)
	err = run(ctx, p)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "limits:", err)
		os.Exit(1)
	}
}

func parse(args []string) (plan, error) {
	p := plan{WarmUp: warmUp}
	flags := flag.NewFlagSet("limits", flag.ContinueOnError)
	callers := flags.String("callers", "1,4,16", "numbers of concurrent callers, one table each")
	seconds := flags.Float64("seconds", 3, "length of the timed part of a round")
	only := flags.String("only", "", "contestants to run, of "+strings.Join(contestantNames(), ","))
	flags.IntVar(&p.Rounds, "rounds", 5, "rounds per contestant and number of callers")
	flags.StringVar(&p.parent, "dir", ".", "directory, on the disk to measure, in which a temporary one is made and removed")
	flags.StringVar(&p.json, "json", "", "file to write the numbers of every round to")
	if err := flags.Parse(args); err != nil {
		return p, err
	}
	for text := range strings.SplitSeq(*callers, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil || n < 1 {
			return p, fmt.Errorf("-callers has %q: it needs numbers above 0, such as 1,4,16", text)
		}
		p.Callers = append(p.Callers, n)
	}
	if *only != "" {
		p.only = strings.Split(*only, ",")
	}
	for _, name := range p.only {
		if !slices.Contains(contestantNames(), name) {
			return p, fmt.Errorf("-only has %q: there are %s", name, strings.Join(contestantNames(), ", "))
		}
	}
	p.Timed = time.Duration(*seconds * float64(time.Second))
	switch {
	case flags.NArg() > 0:
		return p, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case p.Timed <= 0:
		return p, errors.New("-seconds must be positive")
	case p.Rounds < 1:
		return p, errors.New("-rounds must be at least 1")
	}
	return p, nil
}

// run measures everything and prints a table as soon as it is complete.
func run(ctx context.Context, p plan) (err error) {
	dir, err := os.MkdirTemp(p.parent, "limits-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	m, err := measure.ReadMachine(dir)
	if err != nil {
		return err
	}
	a := contest.Arena{Dir: dir, Load: contest.NewWorkload(contest.KeySpace)}
	if a.Device, err = contest.DeviceOf(dir); err != nil {
		return err
	}
	if p.needsServer() {
		if a.Server, err = contest.BuildServer(ctx, dir); err != nil {
			return err
		}
	}
	fmt.Printf("%s\n", m)
	r := report{
		Machine: m, Plan: p, BatchEntries: contest.BatchEntries, KeyBytes: contest.KeyBytes,
		ValueBytes: contest.ValueBytes, Keys: contest.KeySpace,
	}
	for _, callers := range p.Callers {
		t, err := compete(ctx, &a, p, callers)
		if err != nil {
			return err
		}
		r.Tables = append(r.Tables, t)
		fmt.Printf("\n%s", t.markdown())
	}
	if p.json == "" {
		return nil
	}
	return r.write(p.json)
}
