package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/sheafdb/sheaf/bench/contest"
	"github.com/sheafdb/sheaf/bench/measure"
)

// pauseFound tells of the garbage collector's pauses.
type pauseFound struct {
	Keys int        `json:"keys"`
	Rows []pauseRow `json:"rows"`
}

// pauseRow has upper bounds: the server counts pauses in buckets.
type pauseRow struct {
	Contestant    string  `json:"contestant"`
	Pauses        uint64  `json:"pauses"`
	P50MS         float64 `json:"p50_ms"`
	P99MS         float64 `json:"p99_ms"`
	MaxMS         float64 `json:"max_ms"`
	KeysPerSecond float64 `json:"keys_per_second"`
	P99BatchMS    float64 `json:"p99_batch_ms"`
}

func runPause(ctx context.Context, s *session) (finding, error) {
	s.workload(s.plan.Keys)
	chosen := s.chosenOf("sheaf-memory", "sheaf-pebble")
	p := newProgress("pause", len(chosen))
	found := &pauseFound{Keys: s.plan.Keys}
	for _, e := range chosen {
		row, err := s.measurePauses(ctx, e)
		if err != nil {
			return found, err
		}
		found.Rows = append(found.Rows, row)
		p.step("%s: %d pauses", e.name, row.Pauses)
	}
	return found, nil
}

// measurePauses takes all rounds as one: pauses are few.
func (s *session) measurePauses(ctx context.Context, e entrant) (row pauseRow, err error) {
	r, _, err := s.startLoaded(ctx, e, s.plan.Keys)
	if err != nil {
		return row, err
	}
	defer func() { err = joinEnd(err, r) }()
	before, err := pausesOf(ctx, r)
	if err != nil {
		return row, err
	}
	var rounds []contest.Sample
	for n := range s.plan.Rounds {
		sample, err := s.round(ctx, r, s.arena.Load.Uniform, s.plan.Callers[0], n)
		if err != nil {
			return row, err
		}
		rounds = append(rounds, sample)
	}
	after, err := pausesOf(ctx, r)
	if err != nil {
		return row, err
	}
	pauses, err := between(before, after)
	if err != nil {
		return row, err
	}
	load := contest.Summarise(e.name, rounds)
	return pauseRow{
		Contestant: e.name, Pauses: total(pauses), KeysPerSecond: load.Median.KeysPerSecond, P99BatchMS: load.Median.P99MS,
		P50MS: 1000 * quantile(pauses, .5), P99MS: 1000 * quantile(pauses, .99), MaxMS: 1000 * quantile(pauses, 1),
	}, nil
}

// administered is a contestant with an administrative port.
type administered interface{ Admin() string }

func metricsOf(ctx context.Context, r *running) (metrics, error) {
	a, ok := r.Contestant.(administered)
	if !ok {
		return nil, errors.New(r.entrant.name + " has no metrics page")
	}
	return contest.ReadMetrics(ctx, a.Admin())
}

func pausesOf(ctx context.Context, r *running) ([]bucket, error) {
	m, err := metricsOf(ctx, r)
	if err != nil {
		return nil, err
	}
	return m.histogram(metricPauses)
}

func (f *pauseFound) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s keys. The pauses are upper bounds, of the buckets that the server counts them in.\n\n", measure.Thousands(float64(f.Keys)))
	b.WriteString("| | pauses | p50 ms | p99 ms | longest ms | at keys/s | p99 ms of a batch |\n|---|--:|--:|--:|--:|--:|--:|\n")
	for _, r := range f.Rows {
		fmt.Fprintf(&b, "| %s | %d | %.3g | %.3g | %.3g | %s | %.2f |\n", r.Contestant, r.Pauses, r.P50MS, r.P99MS, r.MaxMS,
			measure.Thousands(r.KeysPerSecond), r.P99BatchMS)
	}
	return b.String()
}
