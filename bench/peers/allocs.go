package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/bench/contest"
)

// allocsFound tells what a batch costs the server in allocations.
type allocsFound struct {
	Rows []allocsRow `json:"rows"`
}

type allocsRow struct {
	Contestant string  `json:"contestant"`
	Callers    int     `json:"callers"`
	PerCall    float64 `json:"allocations_per_call"`
}

// Calls before the counters are read, so that pools and buffers are filled, and
// between the two readings, for each caller.
const (
	allocsWarmUp = 300
	allocsCalls  = 1000
)

// runAllocs reads the server's own counter, so nothing of the client is in it.
// Overwriting the same keys keeps the growth of the store out of it.
func runAllocs(ctx context.Context, s *session) (finding, error) {
	s.workload(contest.KeySpace)
	chosen := s.chosenOf("sheaf-memory", "sheaf-pebble", "sheaf-memory-eventual", "sheaf-pebble-eventual")
	found := &allocsFound{}
	p := newProgress("allocs", 2*len(chosen))
	for _, e := range chosen {
		for _, callers := range []int{1, 4} {
			row, err := s.measureAllocs(ctx, e, callers)
			if err != nil {
				return found, err
			}
			found.Rows = append(found.Rows, row)
			p.step("%s with %d %s: %.0f a call", e.name, callers, contest.Plural(callers, "caller"), row.PerCall)
		}
	}
	return found, nil
}

func (s *session) measureAllocs(ctx context.Context, e entrant, callers int) (row allocsRow, err error) {
	r, err := s.start(ctx, e, fmt.Sprintf("%s-allocs-%d", e.name, callers))
	if err != nil {
		return row, err
	}
	defer func() { err = joinEnd(err, r) }()
	if err := s.calls(r, callers, allocsWarmUp); err != nil {
		return row, err
	}
	if _, err := contest.Settle(ctx, r.PIDs(), 0); err != nil {
		return row, err
	}
	// The page of metrics is not free either; two readings in a row tell its price.
	var counts [3]float64
	for i := range counts {
		if i == 2 {
			if err := s.calls(r, callers, allocsCalls); err != nil {
				return row, err
			}
		}
		m, err := metricsOf(ctx, r)
		if err != nil {
			return row, err
		}
		if counts[i], err = m.value(metricMallocs); err != nil {
			return row, err
		}
	}
	page := counts[1] - counts[0]
	return allocsRow{e.name, callers, (counts[2] - counts[1] - page) / float64(callers*allocsCalls)}, nil
}

// calls has each caller write this many batches.
func (s *session) calls(r *running, callers, each int) error {
	failed := make([]error, callers)
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(6, uint64(i)))
			entries := make([]sheaf.Entry, contest.BatchEntries)
			keys := s.arena.Load.First(allocsKeys)
			for n := 0; n < each && failed[i] == nil; n++ {
				keys.Uniform(entries, rng)
				_, failed[i] = r.Write(entries)
			}
		})
	}
	wg.Wait()
	for _, err := range failed {
		if err != nil {
			return fmt.Errorf("%s: %w", r.entrant.name, err)
		}
	}
	return nil
}

// allocsKeys is so few that all of them are there after the warm-up.
const allocsKeys = 20_000

func (f *allocsFound) markdown() string {
	var b strings.Builder
	b.WriteString("| | callers | allocations per call |\n|---|--:|--:|\n")
	for _, r := range f.Rows {
		fmt.Fprintf(&b, "| %s | %d | %.0f |\n", r.Contestant, r.Callers, r.PerCall)
	}
	return b.String()
}
