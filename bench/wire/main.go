// Command wire measures what PutAll costs a server beside the transport.
//
//	go -C bench run ./wire
//
// Three contestants get the same encoded batches over gRPC: "putall", the real
// face and coordinator over a group that walks the entries, sums their ETag and
// drops them; "blob", a handler that only receives the bytes; and "copied", which
// also puts them into one new buffer, the plain way to keep a batch. Each serves in
// a process of its own, so that its CPU time and its allocations can be told from
// the client's. They take turns, round by round; the numbers are
// medians over the rounds, and a ratio is of two turns of one round.
//
// The package runs on Linux, inside the bench module, and client and servers
// share one machine. It measures neither log nor store: that is ./limits. It
// decides nothing: it prints tables and, with -json, every round's numbers.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/sheafdb/sheaf/bench/measure"
)

// plan is what to measure and for how long.
type plan struct {
	Callers []int         `json:"callers"`
	Rounds  int           `json:"rounds"`
	Timed   time.Duration `json:"timed_ns"`
	WarmUp  time.Duration `json:"warm_up_ns"`
	json    string        // file for the numbers, or ""
}

// warmUp is run before each timed part and counts for nothing.
const warmUp = 300 * time.Millisecond

func main() {
	// A child of this program: see child.go.
	if len(os.Args) == 3 && os.Args[1] == serveCommand {
		exitOn(serve(os.Args[2]), 1)
		return
	}
	p, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	exitOn(err, 2)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	err = run(ctx, p)
	stop()
	exitOn(err, 1)
}

func exitOn(err error, code int) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "wire:", err)
		os.Exit(code)
	}
}

func parse(args []string) (plan, error) {
	p := plan{WarmUp: warmUp}
	flags := flag.NewFlagSet("wire", flag.ContinueOnError)
	callers := flags.String("callers", "4", "numbers of concurrent callers on the one connection, one table each")
	seconds := flags.Float64("seconds", 2, "length of the timed part of a round")
	flags.IntVar(&p.Rounds, "rounds", 7, "rounds per contestant and number of callers")
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
	p.Timed = time.Duration(*seconds * float64(time.Second))
	switch {
	case flags.NArg() > 0:
		return p, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case p.Timed < time.Millisecond:
		return p, errors.New("-seconds must be at least 0.001")
	case p.Rounds < 1:
		return p, errors.New("-rounds must be at least 1")
	}
	return p, nil
}

// run measures everything and prints a table as soon as it is complete.
func run(ctx context.Context, p plan) (err error) {
	m, err := measure.ReadMachine(".")
	if err != nil {
		return err
	}
	requests := newRequests()
	var running [len(contestants)]*child
	defer func() {
		for _, c := range running {
			if c != nil {
				err = errors.Join(err, c.close())
			}
		}
	}()
	for i, name := range contestants {
		if running[i], err = startChild(ctx, name); err != nil {
			return fmt.Errorf("start %s: %w", name, err)
		}
	}
	fmt.Printf("%s\n", m)
	r := report{Machine: m, Plan: p, BatchEntries: batchEntries, KeyBytes: keyBytes, ValueBytes: valueBytes}
	for _, callers := range p.Callers {
		var rounds [len(contestants)][]sample
		for n := range p.Rounds {
			for i, c := range running {
				s, err := c.round(ctx, requests, callers, p)
				if err != nil {
					return fmt.Errorf("%s with %d callers: %w", c.name, callers, err)
				}
				rounds[i] = append(rounds[i], s)
				fmt.Fprintf(os.Stderr, "callers %d, round %d of %d, %s: %s keys/s, server %.3f µs/key\n",
					callers, n+1, p.Rounds, c.name, measure.Thousands(s.KeysPerSecond), s.ServerCPUPerKey)
			}
		}
		t := newTable(callers, rounds)
		r.Tables = append(r.Tables, t)
		fmt.Printf("\n%s", t.markdown())
	}
	if p.json == "" {
		return nil
	}
	return r.write(p.json)
}
