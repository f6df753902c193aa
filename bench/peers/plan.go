package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// plan is what to measure, with how much data, and for how long.
type plan struct {
	Callers  []int         `json:"callers"`
	Rounds   int           `json:"rounds"`
	Timed    time.Duration `json:"timed_ns"`
	WarmUp   time.Duration `json:"warm_up_ns"`
	Keys     int           `json:"keys"`      // of memory, restart and pause
	FillKeys int           `json:"fill_keys"` // the large store of fill
	Duration time.Duration `json:"duration_ns"`
	Quiet    float64       `json:"quiet_cores"` // 0 takes every round

	scenarios []scenario
	only      []string // names of contestants; empty is all
	parent    string   // where the temporary directory is made
	server    string   // program of the Sheaf server, or "" for one built from the tree
	json, svg string   // files for the numbers and the chart, or ""
}

// scenario is one question.
type scenario struct {
	name  string
	about string // a sentence above its table
	run   func(ctx context.Context, s *session) (finding, error)
}

// finding is a scenario's answer. It is marshalled to JSON as it is.
type finding interface{ markdown() string }

var scenarios = []scenario{
	{"batches", "Batches of 1,000 entries, 32-byte keys drawn uniformly from 1,000,000, 128-byte values that do not compress.", runBatches},
	{"reads", "Linearizable reads of one key at a time, of one server and of the leader of three, in turns.", runReads},
	{"memory", "Resident memory of a server that holds the keys, after it came to rest.", runMemory},
	{"fill", "Batches that overwrite keys drawn from all that the store holds, over few keys and many.", runFill},
	{"restart", "From the start of a server that was killed with SIGKILL to its answer to a read; the files are in the page cache.", runRestart},
	{"pause", "How long the garbage collector stops all goroutines of the server, under batches.", runPause},
	{"allocs", "Memory allocations in the server for one batch of 1,000 entries.", runAllocs},
	{"soak", "Batches at 70 % of the highest rate, at fixed times whatever the server does; latency counts from the time a batch was due.", runSoak},
}

func scenarioNames() []string {
	names := make([]string, len(scenarios))
	for i, s := range scenarios {
		names[i] = s.name
	}
	return names
}

// quick is a smoke run: it shows that everything runs, and its numbers are noise.
func (p *plan) quick() {
	p.Rounds, p.Timed, p.WarmUp = 2, 400*time.Millisecond, 100*time.Millisecond
	p.Keys, p.FillKeys = 100_000, 300_000
	p.Duration = 15 * time.Second
}

func parse(args []string) (plan, error) {
	p := plan{WarmUp: 500 * time.Millisecond, Keys: 5_000_000, FillKeys: 10_000_000}
	if slices.Contains(args, "-quick") || slices.Contains(args, "--quick") {
		p.quick()
	} else {
		p.Rounds, p.Timed, p.Duration = 5, 3*time.Second, 10*time.Minute
	}
	flags := flag.NewFlagSet("peers", flag.ContinueOnError)
	flags.Bool("quick", false, "a smoke run of a minute or two, unless other flags say otherwise: it shows that all runs")
	names := flags.String("scenario", "batches", "what to run, of "+strings.Join(scenarioNames(), ",")+", or all")
	only := flags.String("only", "", "contestants to run, of "+strings.Join(entrantNames(), ","))
	callers := flags.String("callers", "4", "numbers of concurrent callers, one table of batches each; others use the first")
	flags.IntVar(&p.Rounds, "rounds", p.Rounds, "rounds per contestant")
	flags.DurationVar(&p.Timed, "timed", p.Timed, "length of the timed part of a round")
	flags.IntVar(&p.Keys, "keys", p.Keys, "keys that memory, restart and pause load")
	flags.IntVar(&p.FillKeys, "fill-keys", p.FillKeys, "keys of the large store of fill")
	flags.DurationVar(&p.Duration, "duration", p.Duration, "length of soak")
	flags.Float64Var(&p.Quiet, "quiet", 0, "cores: batches and reads wait for a quiet machine, and run a round again in which other processes used more than this")
	flags.StringVar(&p.parent, "dir", ".", "directory, on the disk to measure, in which a temporary one is made and removed")
	flags.StringVar(&p.server, "server", "", "program of the Sheaf server, to compare builds; one is built from this tree without it")
	flags.StringVar(&p.json, "json", "", "file to write every number to")
	flags.StringVar(&p.svg, "svg", "", "file to draw the chart to: of batches, else of soak")
	if err := flags.Parse(args); err != nil {
		return p, err
	}
	if flags.NArg() > 0 {
		return p, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if err := p.setCallers(*callers); err != nil {
		return p, err
	}
	if *only != "" {
		p.only = strings.Split(*only, ",")
	}
	for _, name := range p.only {
		if !slices.Contains(entrantNames(), name) {
			return p, fmt.Errorf("-only has %q: there are %s", name, strings.Join(entrantNames(), ", "))
		}
	}
	if *names == "all" {
		*names = strings.Join(scenarioNames(), ",")
	}
	for name := range strings.SplitSeq(*names, ",") {
		at := slices.Index(scenarioNames(), name)
		if at < 0 {
			return p, fmt.Errorf("-scenario has %q: there are %s", name, strings.Join(scenarioNames(), ", "))
		}
		p.scenarios = append(p.scenarios, scenarios[at])
	}
	return p, p.validate()
}

func (p *plan) setCallers(list string) error {
	for text := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil || n < 1 || n > maxCallers {
			return fmt.Errorf("-callers has %q: it needs numbers from 1 to %d, such as 1,4,16", text, maxCallers)
		}
		p.Callers = append(p.Callers, n)
	}
	return nil
}

// maxCallers is below natsMaxConns and what NATS takes of batches at once (50).
const maxCallers = 48

func (p *plan) validate() error {
	switch {
	case p.Timed <= 0:
		return errors.New("-timed must be positive")
	case p.Rounds < 1:
		return errors.New("-rounds must be at least 1")
	case p.Quiet < 0:
		return errors.New("-quiet must not be negative")
	case p.Duration < soakLeast:
		return fmt.Errorf("-duration must be at least %v", soakLeast)
	case p.Keys < fillSmallKeys || p.Keys%fillSmallKeys != 0:
		return fmt.Errorf("-keys must be a multiple of %d", fillSmallKeys)
	case p.FillKeys < fillSmallKeys || p.FillKeys%fillSmallKeys != 0:
		return fmt.Errorf("-fill-keys must be a multiple of %d", fillSmallKeys)
	}
	return nil
}
