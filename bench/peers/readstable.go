package main

import (
	"fmt"
	"strings"

	"github.com/sheafdb/sheaf/bench/contest"
	"github.com/sheafdb/sheaf/bench/measure"
)

// readsFound tells what a linearizable read costs with one server and with three.
type readsFound struct {
	Keys int        `json:"keys"`
	Rows []readsRow `json:"rows"`
}

type readsRow struct {
	Contestant string        `json:"contestant"`
	Callers    int           `json:"callers"`
	Median     readsSample   `json:"median"`
	MinP50MS   float64       `json:"min_p50_ms"`
	MaxP50MS   float64       `json:"max_p50_ms"`
	Ratio      float64       `json:"ratio,omitempty"` // p50, over that of one server: the median over the rounds
	Rounds     []readsSample `json:"rounds"`
}

// readsSample is one turn.
type readsSample struct {
	ReadsPerSecond float64 `json:"reads_per_second"`
	P50MS          float64 `json:"p50_ms"`
	P99MS          float64 `json:"p99_ms"`
	OthersCores    float64 `json:"others_cores"` // of processes that have no part in it
}

// summariseReads reduces the turns of one contestant, of which there is at least one.
func summariseReads(name string, callers int, rounds []readsSample) readsRow {
	row := readsRow{Contestant: name, Callers: callers, Rounds: rounds, MinP50MS: rounds[0].P50MS}
	median := func(of func(readsSample) float64) float64 { return measure.Median(column(rounds, of)) }
	row.Median = readsSample{
		ReadsPerSecond: median(func(r readsSample) float64 { return r.ReadsPerSecond }),
		P50MS:          median(func(r readsSample) float64 { return r.P50MS }),
		P99MS:          median(func(r readsSample) float64 { return r.P99MS }),
		OthersCores:    median(func(r readsSample) float64 { return r.OthersCores }),
	}
	for _, r := range rounds {
		row.MinP50MS, row.MaxP50MS = min(row.MinP50MS, r.P50MS), max(row.MaxP50MS, r.P50MS)
	}
	return row
}

// readsRatio is the p50 of one over that of another, round by round.
func readsRatio(of, to []readsSample) float64 {
	var ratios []float64
	for n := range of {
		if to[n].P50MS > 0 {
			ratios = append(ratios, of[n].P50MS/to[n].P50MS)
		}
	}
	return measure.Median(ratios)
}

func (f *readsFound) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s keys.\n\n| | callers | reads/s | p50 ms | min–max | p99 ms | p50, three ÷ one |\n|---|--:|--:|--:|--:|--:|--:|\n",
		measure.Thousands(float64(f.Keys)))
	busiest := 0.0
	for _, r := range f.Rows {
		busiest = max(busiest, r.Median.OthersCores)
		fmt.Fprintf(&b, "| %s | %d | %s | %.3f | %.3f–%.3f | %.3f | %s |\n", r.Contestant, r.Callers, measure.Thousands(r.Median.ReadsPerSecond),
			r.Median.P50MS, r.MinP50MS, r.MaxP50MS, r.Median.P99MS, contest.Known(r.Ratio))
	}
	fmt.Fprintf(&b, "\nOther processes used up to %.1f cores (median over a contestant's rounds).\n", busiest)
	return b.String()
}
