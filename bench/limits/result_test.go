package main

import (
	"strings"
	"testing"

	"github.com/sheafdb/sheaf/bench/contest"
)

func summary(name string, rounds []contest.Sample) row {
	return row{Row: contest.Summarise(name, rounds)}
}

func TestRatioIsTheMedianOfTheRoundsRatios(t *testing.T) {
	rates := func(rates ...float64) (rounds []contest.Sample) {
		for _, r := range rates {
			rounds = append(rounds, contest.Sample{KeysPerSecond: r})
		}
		return rounds
	}
	// The machine was three times slower in the second round, for both.
	table := table{Rows: []row{
		summary("a", rates(600, 200, 900)),
		summary(baseline, rates(300, 100, 300)),
	}}
	table.compare(baseline)
	if a, b := table.Rows[0].Ratio, table.Rows[1].Ratio; a != 2 || b != 1 {
		t.Errorf("the ratios are %v and %v, want 2 and 1", a, b)
	}
	table.Rows = table.Rows[:1]
	table.Rows[0].Ratio = 0
	table.compare(baseline)
	if got := table.Rows[0].Ratio; got != 0 {
		t.Errorf("without a baseline the ratio is %v, want none", got)
	}
}

func TestTableIsMarkdown(t *testing.T) {
	table := table{Callers: 4, Rows: []row{
		summary(baseline, []contest.Sample{{
			KeysPerSecond: 1_234_567.4, P50MS: 1.234, P95MS: 2, P99MS: 3, CPUMicrosPerKey: 0.5,
			ChargedBytesPerKey: 200.4, OthersCores: 0.26,
		}}),
		summary("sheaf-memory", []contest.Sample{{
			KeysPerSecond: 617_283.7, P50MS: 2, P95MS: 3, P99MS: 4, CPUMicrosPerKey: 1, ClientCPUPerKey: 0.4,
			ChargedBytesPerKey: 180, DeviceBytesPerKey: 1180.2, Retries: 2,
		}}),
	}}
	table.compare(baseline)
	want := strings.TrimLeft(`
**4 callers**

| | keys/s | min–max | to pebble-direct | p50 ms | p95 ms | p99 ms | CPU µs/key | client CPU µs/key | charged B/key | disk B/key |
|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|
| pebble-direct | 1,234,567 | 1,234,567–1,234,567 | 1.00 | 1.23 | 2.00 | 3.00 | 0.50 | – | 200 | – |
| sheaf-memory | 617,284 | 617,284–617,284 | 0.50 | 2.00 | 3.00 | 4.00 | 1.00 | 0.40 | 180 | 1,180 |

Other processes used up to 0.3 cores (median over a contestant's rounds). Batches sent again: 2.
`, "\n")
	if got := table.markdown(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
