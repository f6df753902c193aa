package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/sheafdb/sheaf/bench/measure"
)

// report is what -json writes.
type report struct {
	Machine      measure.Machine `json:"machine"`
	Plan         plan            `json:"plan"`
	BatchEntries int             `json:"batch_entries"`
	KeyBytes     int             `json:"key_bytes"`
	ValueBytes   int             `json:"value_bytes"`
	Tables       []table         `json:"tables"`
}

// table is the outcome for one number of callers.
type table struct {
	Callers int   `json:"callers"`
	Rows    []row `json:"rows"`
}

// row is the outcome of one contestant. Each field of Median is a median of its
// own: they need not come from the same round.
type row struct {
	Contestant string   `json:"contestant"`
	Median     sample   `json:"median"`
	Rounds     []sample `json:"rounds"`
	// PutAll's numbers over this contestant's, pair by pair.
	Rate      ratios `json:"rate_ratio"`
	ServerCPU ratios `json:"server_cpu_ratio"`
}

// ratios are of turns that came one after the other and so met the same machine.
type ratios struct {
	Median float64   `json:"median"`
	Pairs  []float64 `json:"pairs"`
}

func newTable(callers int, rounds [len(contestants)][]sample) table {
	t := table{Callers: callers}
	ours := rounds[slices.Index(contestants[:], putAll)]
	for i, name := range contestants {
		t.Rows = append(t.Rows, row{
			Contestant: name, Median: medianOf(rounds[i]), Rounds: rounds[i],
			Rate:      newRatios(ours, rounds[i], func(s *sample) float64 { return s.KeysPerSecond }),
			ServerCPU: newRatios(ours, rounds[i], func(s *sample) float64 { return s.ServerCPUPerKey }),
		})
	}
	return t
}

func newRatios(ours, theirs []sample, field func(*sample) float64) (r ratios) {
	for n := range ours {
		r.Pairs = append(r.Pairs, field(&ours[n])/field(&theirs[n]))
	}
	r.Median = measure.Median(r.Pairs)
	return r
}

func medianOf(rounds []sample) sample {
	of := func(field func(*sample) float64) float64 {
		values := make([]float64, len(rounds))
		for i := range rounds {
			values[i] = field(&rounds[i])
		}
		return measure.Median(values)
	}
	return sample{
		KeysPerSecond:   of(func(s *sample) float64 { return s.KeysPerSecond }),
		P50MS:           of(func(s *sample) float64 { return s.P50MS }),
		P99MS:           of(func(s *sample) float64 { return s.P99MS }),
		ServerCPUPerKey: of(func(s *sample) float64 { return s.ServerCPUPerKey }),
		ClientCPUPerKey: of(func(s *sample) float64 { return s.ClientCPUPerKey }),
		ObjectsPerCall:  of(func(s *sample) float64 { return s.ObjectsPerCall }),
		TinyPerCall:     of(func(s *sample) float64 { return s.TinyPerCall }),
		BytesPerCall:    of(func(s *sample) float64 { return s.BytesPerCall }),
		Calls:           int(of(func(s *sample) float64 { return float64(s.Calls) })),
	}
}

func (t table) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d callers on one connection, batches of %s entries of %d+%d bytes\n\n",
		t.Callers, measure.Thousands(batchEntries), keyBytes, valueBytes)
	b.WriteString("| contestant | keys/s | p50 ms | p99 ms | server CPU µs/key | client CPU µs/key | objects/call | tiny/call | bytes/call |\n")
	b.WriteString("|---|---:|---:|---:|---:|---:|---:|---:|---:|\n")
	for _, r := range t.Rows {
		m := r.Median
		fmt.Fprintf(&b, "| `%s` | %s | %.2f | %.2f | %.3f | %.3f | %.1f | %.1f | %s |\n", r.Contestant,
			measure.Thousands(m.KeysPerSecond), m.P50MS, m.P99MS, m.ServerCPUPerKey, m.ClientCPUPerKey,
			m.ObjectsPerCall, m.TinyPerCall, measure.Thousands(m.BytesPerCall))
	}
	b.WriteString("\nPair by pair, median (least to most: all):\n\n")
	for _, r := range t.Rows {
		if r.Contestant != putAll {
			fmt.Fprintf(&b, "- rate of `%s` over `%s`: %s\n", putAll, r.Contestant, r.Rate)
			fmt.Fprintf(&b, "- server CPU of `%s` over `%s`: %s\n", putAll, r.Contestant, r.ServerCPU)
		}
	}
	return b.String()
}

// String is the median, the extremes and, in the order of the rounds, all pairs.
func (r ratios) String() string {
	pairs := make([]string, len(r.Pairs))
	for i, pair := range r.Pairs {
		pairs[i] = fmt.Sprintf("%.2f", pair)
	}
	return fmt.Sprintf("%.2f (%.2f to %.2f: %s)", r.Median, slices.Min(r.Pairs), slices.Max(r.Pairs), strings.Join(pairs, " "))
}

func (r report) write(path string) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(data, '\n'), 0o644)
}
