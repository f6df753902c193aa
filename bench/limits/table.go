package main

import (
	"fmt"
	"strings"

	"github.com/sheafdb/sheaf/bench/measure"
)

// markdown is the table as one prints it, with a line below that says how much
// else the machine had to do.
func (t *table) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "**%d %s**\n\n", t.Callers, plural(t.Callers, "caller"))
	b.WriteString("| | keys/s | min–max | to " + baseline + " | p50 ms | p95 ms | p99 ms | CPU µs/key | client CPU µs/key | charged B/key | disk B/key |\n")
	b.WriteString("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	busiest, retries := 0.0, 0
	for i := range t.Rows {
		r := &t.Rows[i]
		m := &r.Median
		fmt.Fprintf(&b, "| %s | %s | %s–%s | %s | %.2f | %.2f | %.2f | %.2f | %s | %.0f | %s |\n",
			r.Contestant, measure.Thousands(m.KeysPerSecond), measure.Thousands(r.MinRate), measure.Thousands(r.MaxRate), known(r.Ratio),
			m.P50MS, m.P95MS, m.P99MS, m.CPUMicrosPerKey, known(m.ClientCPUPerKey), m.ChargedBytesPerKey, whole(m.DeviceBytesPerKey))
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

// known leaves out a number that does not apply, which is 0.
func known(x float64) string {
	if x == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f", x)
}

func whole(x float64) string {
	if x == 0 {
		return "–"
	}
	return measure.Thousands(x)
}

func plural(n int, word string) string {
	if n == 1 {
		return word
	}
	return word + "s"
}
