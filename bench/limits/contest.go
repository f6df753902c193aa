package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/bench/contest"
	"github.com/sheafdb/sheaf/bench/measure"
)

// entrant says how a contestant is started.
type entrant struct {
	name string
	// oneWriter: it stands for a limit, and has one caller whatever is asked.
	oneWriter bool
	// served: it needs the server program.
	served bool
	start  contest.Start
}

// baseline is the entrant that the ratios refer to.
const baseline = "pebble-direct"

var entrants = []entrant{
	{name: "fdatasync", oneWriter: true, start: startDisk},
	{name: baseline, start: contest.Pebble(true)},
	{name: "sheaf-pebble", served: true, start: contest.Sheaf("pebble", sheaf.Linearizable)},
	{name: "sheaf-memory", served: true, start: contest.Sheaf("memory", sheaf.Linearizable)},
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

// measure runs the rounds for one number of callers. Each contestant starts on
// an empty directory and keeps its data from round to round: after the first it
// overwrites keys, and meets the flushes and compactions of a store in use.
func compete(ctx context.Context, a *contest.Arena, p plan, callers int) (t table, err error) {
	chosen := p.chosen()
	running := make([]contest.Contestant, 0, len(chosen))
	defer func() {
		for i, c := range running {
			err = errors.Join(err, c.Close(), os.RemoveAll(dirOf(a, chosen[i], callers)))
		}
	}()
	for _, e := range chosen {
		dir := dirOf(a, e, callers)
		if err := os.Mkdir(dir, 0o700); err != nil {
			return t, err
		}
		c, err := e.start(ctx, a, dir)
		if err != nil {
			return t, fmt.Errorf("start %s: %w", e.name, err)
		}
		running = append(running, c)
	}
	rounds := make([][]contest.Sample, len(chosen))
	for n := range p.Rounds {
		for i, e := range chosen {
			writers := callers
			if e.oneWriter {
				writers = 1
			}
			r := contest.Round{
				Contestant: running[i], Draw: a.Load.Neighbours, Device: a.Device, Callers: writers,
				WarmUp: p.WarmUp, Timed: p.Timed, Seed: uint64(n),
			}
			s, err := r.Run(ctx)
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
		t.Rows = append(t.Rows, row{Row: contest.Summarise(e.name, rounds[i])})
	}
	t.compare(baseline)
	return t, nil
}

func dirOf(a *contest.Arena, e entrant, callers int) string {
	return filepath.Join(a.Dir, fmt.Sprintf("%s-%d", e.name, callers))
}
