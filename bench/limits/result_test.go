package main

import (
	"math"
	"strings"
	"testing"
	"time"
)

func TestRatioIsTheMedianOfTheRoundsRatios(t *testing.T) {
	rates := func(rates ...float64) (rounds []sample) {
		for _, r := range rates {
			rounds = append(rounds, sample{KeysPerSecond: r})
		}
		return rounds
	}
	// The machine was three times slower in the second round, for both.
	table := table{Rows: []row{
		summarise("a", rates(600, 200, 900)),
		summarise(baseline, rates(300, 100, 300)),
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

func TestSummaryHasMediansTheExtremesAndEveryRetry(t *testing.T) {
	r := summarise("a", []sample{
		{KeysPerSecond: 10, P99MS: 1, Retries: 1},
		{KeysPerSecond: 30, P99MS: 9},
		{KeysPerSecond: 20, P99MS: 2, Retries: 2},
	})
	if r.Median.KeysPerSecond != 20 || r.MinRate != 10 || r.MaxRate != 30 {
		t.Errorf("rates: %+v", r)
	}
	if r.Median.P99MS != 2 || r.Median.Retries != 3 {
		t.Errorf("p99 is %v and retries %d, want 2 and 3", r.Median.P99MS, r.Median.Retries)
	}
}

func TestTableIsMarkdown(t *testing.T) {
	table := table{Callers: 4, Rows: []row{
		summarise(baseline, []sample{{
			KeysPerSecond: 1_234_567.4, P50MS: 1.234, P95MS: 2, P99MS: 3, CPUMicrosPerKey: 0.5,
			ChargedBytesPerKey: 200.4, OthersCores: 0.26,
		}}),
		summarise("sheaf-memory", []sample{{
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

// TestSampleDividesByTheKeysOfTheRightPart: the rate by the timed part, the
// price by the whole round.
func TestSampleDividesByTheKeysOfTheRightPart(t *testing.T) {
	began := time.Unix(1000, 0)
	r := round{contestant: &disk{}, plan: plan{Timed: 2 * time.Second}}
	c := caller{times: newTimes(), batches: 5, retries: 1}
	for _, micros := range []int64{1000, 2000, 3000, 4000} {
		if err := c.times.RecordValue(micros); err != nil {
			t.Fatal(err)
		}
	}
	used := cost{cpu: 10 * time.Millisecond, writtenBytes: 1_000_000}
	s := r.sum([]caller{c}, spent{at: began}, spent{
		at: began.Add(4 * time.Second), contestant: used, own: used,
		machine: 2*time.Second + used.cpu, deviceBytes: 2_000_000,
	})
	for _, c := range []struct {
		name      string
		got, want float64
	}{
		{"keys/s", s.KeysPerSecond, 2000},
		{"p50", s.P50MS, 2},
		{"CPU µs/key", s.CPUMicrosPerKey, 2},
		{"client CPU µs/key", s.ClientCPUPerKey, 0},
		{"charged B/key", s.ChargedBytesPerKey, 200},
		{"disk B/key", s.DeviceBytesPerKey, 400},
		{"others' cores", s.OthersCores, 0.5},
		{"retries", float64(s.Retries), 1},
	} {
		if math.Abs(c.got-c.want) > 0.01*c.want {
			t.Errorf("%s is %v, want %v", c.name, c.got, c.want)
		}
	}
}
