package main

import (
	"fmt"
	"strings"

	"github.com/sheafdb/sheaf/bench/contest"
	"github.com/sheafdb/sheaf/bench/measure"
)

// markdown is the table as one prints it, with a line below that says how much
// else the machine had to do.
func (t *table) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "**%d %s**\n\n", t.Callers, contest.Plural(t.Callers, "caller"))
	b.WriteString("| | keys/s | min–max | to " + baseline + " | p50 ms | p95 ms | p99 ms | CPU µs/key | client CPU µs/key | charged B/key | disk B/key |\n")
	b.WriteString("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	busiest, retries := 0.0, 0
	for i := range t.Rows {
		r := &t.Rows[i]
		m := &r.Median
		fmt.Fprintf(&b, "| %s | %s | %s–%s | %s | %.2f | %.2f | %.2f | %.2f | %s | %.0f | %s |\n",
			r.Contestant, measure.Thousands(m.KeysPerSecond), measure.Thousands(r.MinRate), measure.Thousands(r.MaxRate), contest.Known(r.Ratio),
			m.P50MS, m.P95MS, m.P99MS, m.CPUMicrosPerKey, contest.Known(m.ClientCPUPerKey), m.ChargedBytesPerKey, contest.Whole(m.DeviceBytesPerKey))
		busiest = max(busiest, m.OthersCores)
		retries += m.Retries
	}
	fmt.Fprintf(&b, "\nOther processes used up to %.1f cores (median over a contestant's rounds).", busiest)
	if retries > 0 {
		fmt.Fprintf(&b, " Batches sent again: %d.", retries)
	}
	b.WriteString("\n")
	return b.String()
}
