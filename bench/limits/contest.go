package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/bench/measure"
)

// contestant is one way to make a batch durable.
type contestant interface {
	// write returns when the batch is on disk, and how often it had to be sent
	// again. Many callers write at once.
	write(entries []sheaf.Entry) (retries int, err error)
	// pid is the process whose CPU time and bytes are the contestant's price.
	pid() int
	// close ends it. Its directory is removed afterwards.
	close() error
}

// entrant says how a contestant is started.
type entrant struct {
	name string
	// oneWriter: it stands for a limit, and has one caller whatever is asked.
	oneWriter bool
	// served: it needs the server program.
	served bool
	start  func(ctx context.Context, a *arena, dir string) (contestant, error)
}

// baseline is the entrant that the ratios refer to.
const baseline = "pebble-direct"

var entrants = []entrant{
	{name: "fdatasync", oneWriter: true, start: startDisk},
	{name: baseline, start: startPebble},
	{name: "sheaf-pebble", served: true, start: serveStore("pebble")},
	{name: "sheaf-memory", served: true, start: serveStore("memory")},
}

func contestantNames() []string {
	names := make([]string, len(entrants))
	for i, e := range entrants {
		names[i] = e.name
	}
	return names
}

// chosen returns the entrants that -only names, in the usual order.
func (p *plan) chosen() []entrant {
	if len(p.only) == 0 {
		return entrants
	}
	var chosen []entrant
	for _, e := range entrants {
		if slices.Contains(p.only, e.name) {
			chosen = append(chosen, e)
		}
	}
	return chosen
}

func (p *plan) needsServer() bool {
	return slices.ContainsFunc(p.chosen(), func(e entrant) bool { return e.served })
}

// arena is what all contestants share.
type arena struct {
	dir    string // on the disk that is measured
	server string // path of the server program, "" if nobody needs it
	device device
	load   *workload
}

// contest runs the rounds for one number of callers. Each contestant starts on
// an empty directory and keeps its data from round to round: after the first it
// overwrites keys, and meets the flushes and compactions of a store in use.
func (a *arena) contest(ctx context.Context, p plan, callers int) (t table, err error) {
	chosen := p.chosen()
	running := make([]contestant, 0, len(chosen))
	defer func() {
		for i, c := range running {
			err = errors.Join(err, c.close(), os.RemoveAll(a.dirOf(chosen[i], callers)))
		}
	}()
	for _, e := range chosen {
		dir := a.dirOf(e, callers)
		if err := os.Mkdir(dir, 0o700); err != nil {
			return t, err
		}
		c, err := e.start(ctx, a, dir)
		if err != nil {
			return t, fmt.Errorf("start %s: %w", e.name, err)
		}
		running = append(running, c)
	}
	rounds := make([][]sample, len(chosen))
	for n := range p.Rounds {
		for i, e := range chosen {
			writers := callers
			if e.oneWriter {
				writers = 1
			}
			r := round{contestant: running[i], load: a.load, device: a.device, callers: writers, plan: p, seed: uint64(n)}
			s, err := r.run(ctx)
			if err != nil {
				return t, fmt.Errorf("%s with %d callers: %w", e.name, callers, err)
			}
			rounds[i] = append(rounds[i], s)
			fmt.Fprintf(os.Stderr, "callers %d, round %d of %d, %s: %s keys/s, others used %.1f cores\n",
				callers, n+1, p.Rounds, e.name, measure.Thousands(s.KeysPerSecond), s.OthersCores)
		}
	}
	t.Callers = callers
	for i, e := range chosen {
		t.Rows = append(t.Rows, summarise(e.name, rounds[i]))
	}
	t.compare(baseline)
	return t, nil
}

func (a *arena) dirOf(e entrant, callers int) string {
	return filepath.Join(a.dir, fmt.Sprintf("%s-%d", e.name, callers))
}
