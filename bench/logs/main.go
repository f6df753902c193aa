// Command logs compares logs: what does it cost until a batch is on disk?
//
//	go -C bench run ./logs
//
// Contestants append one batch at a time, each synced before the next begins, and
// are cut back as a node cuts its log: ours, etcd's, raft-wal, and bare files,
// which are what the disk allows. They take turns, round by round, so that a
// machine which is busy for a while is busy for all of them; the numbers are
// medians over the rounds.
//
// One writer, no reads, no recovery: what a log guarantees is not measured here,
// and the contestants do not guarantee the same (see internal/wal/README.md). It
// reads /proc, so it runs on Linux. It decides nothing: it prints tables and, with
// -json, the numbers of every round.
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
)

// plan is what to measure.
type plan struct {
	Sizes  []int    `json:"batch_bytes"`
	Rounds int      `json:"rounds"`
	Quick  bool     `json:"quick"`
	only   []string // names of contestants; empty is all
	parent string   // where the temporary directory is made
	json   string   // file for the numbers, or ""
}

func main() {
	p, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "logs:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	err = run(ctx, p)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "logs:", err)
		os.Exit(1)
	}
}

func parse(args []string) (plan, error) {
	var p plan
	flags := flag.NewFlagSet("logs", flag.ContinueOnError)
	sizes := flags.String("bytes", "1000,10000,160000,1000000", "bytes of a batch, one table each")
	only := flags.String("only", "", "contestants to run, of "+strings.Join(contestantNames(), ","))
	flags.IntVar(&p.Rounds, "rounds", 5, "rounds per contestant and size")
	flags.BoolVar(&p.Quick, "quick", false, "an eighth of the bytes, and no rounds before the first: to see that it runs")
	flags.StringVar(&p.parent, "dir", ".", "directory, on the disk to measure, in which a temporary one is made and removed")
	flags.StringVar(&p.json, "json", "", "file to write the numbers of every round to")
	if err := flags.Parse(args); err != nil {
		return p, err
	}
	for text := range strings.SplitSeq(*sizes, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil || n < 1 || n > maxBatchBytes {
			return p, fmt.Errorf("-bytes has %q: it needs numbers from 1 to %d, such as 1000,160000", text, maxBatchBytes)
		}
		p.Sizes = append(p.Sizes, n)
	}
	if *only != "" {
		p.only = strings.Split(*only, ",")
	}
	for _, name := range p.only {
		if !slices.Contains(contestantNames(), name) {
			return p, fmt.Errorf("-only has %q: there are %s", name, strings.Join(contestantNames(), ", "))
		}
	}
	switch {
	case flags.NArg() > 0:
		return p, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case p.Rounds < 1:
		return p, errors.New("-rounds must be at least 1")
	}
	return p, nil
}

// run measures everything and prints a table as soon as it is complete.
func run(ctx context.Context, p plan) (err error) {
	dir, err := os.MkdirTemp(p.parent, "logs-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	r := report{Machine: readMachine(), Plan: p}
	fmt.Println(r.Machine)
	disk, err := deviceOf(dir)
	if err != nil {
		return err
	}
	for _, bytes := range p.Sizes {
		t, err := contest(ctx, p, dir, disk, bytes)
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
