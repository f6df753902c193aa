// Command article repeats the tables of the article that Sheaf began with, about
// fast Go services with a PutAll over gRPC, and says where its figures do not come
// out again and why.
//
//	go -C bench run ./article
//
// Four experiments: batch writes into maps in memory, JSON that a handler encodes
// for every response, google.protobuf.Any decoded in three ways, and false sharing.
// The rows of a table take turns, round by round, so that a machine which is busy
// for a while is busy for all of them; the numbers are medians over the rounds. The
// report is Markdown on standard output; -json FILE has the numbers of every round.
//
// It measures in one process on one machine, client and server of the HTTP
// experiment included, and it writes nothing but the file of -json. Linux only.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/sheafdb/sheaf/bench/measure"
)

// plan is what to measure.
type plan struct {
	Rounds int      `json:"rounds"`
	Only   []string `json:"only,omitempty"` // names of experiments; empty is all
	Sizes  sizes    `json:"sizes"`
	json   string   // file for the numbers, or ""
}

func main() {
	p, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "article:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second signal ends the process at once.
	context.AfterFunc(ctx, stop)
	err = run(ctx, p, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "article:", err)
		os.Exit(1)
	}
}

func parse(args []string) (plan, error) {
	p := plan{Sizes: fullSizes()}
	flags := flag.NewFlagSet("article", flag.ContinueOnError)
	only := flags.String("only", "", "experiments to run, of "+strings.Join(experimentNames(), ","))
	flags.IntVar(&p.Rounds, "rounds", 5, "turns that every row of a table gets")
	flags.StringVar(&p.json, "json", "", "file to write the numbers of every round to")
	if err := flags.Parse(args); err != nil {
		return p, err
	}
	if *only != "" {
		p.Only = strings.Split(*only, ",")
	}
	for _, name := range p.Only {
		if !slices.Contains(experimentNames(), name) {
			return p, fmt.Errorf("-only has %q: there are %s", name, strings.Join(experimentNames(), ", "))
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
func run(ctx context.Context, p plan, out io.Writer) error {
	machine, err := measure.ReadMachine(".")
	if err != nil {
		return err
	}
	r := report{Machine: machine, Plan: p}
	if _, err := fmt.Fprintf(out, "%s; medians of %d rounds\n", machine, p.Rounds); err != nil {
		return err
	}
	for _, e := range experiments {
		if len(p.Only) > 0 && !slices.Contains(p.Only, e.name) {
			continue
		}
		if _, err := fmt.Fprintf(out, "\n## %s\n\n%s\n", e.title, e.about); err != nil {
			return err
		}
		err := e.run(ctx, p, func(t *table) error {
			r.Tables = append(r.Tables, t)
			_, err := fmt.Fprintf(out, "\n%s", t.markdown())
			return err
		})
		if err != nil {
			return fmt.Errorf("%s: %w", e.name, err)
		}
	}
	if p.json == "" {
		return nil
	}
	return r.write(p.json)
}
