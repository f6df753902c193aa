package main

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// report is what -json writes.
type report struct {
	Machine machine `json:"machine"`
	Plan    plan    `json:"plan"`
	Tables  []table `json:"tables"`
}

// table is the outcome for one size of batch.
type table struct {
	BatchBytes      int   `json:"batch_bytes"`
	AppendsPerRound int   `json:"appends_per_round"`
	Rows            []row `json:"rows"`
}

// row is the outcome of one contestant. Each field of Median is a median of its
// own: they need not come from the same round.
type row struct {
	Contestant string `json:"contestant"`
	Median     sample `json:"median"`
	// Ratio is p50 over the baseline's: the median over the rounds, because the two
	// of one round met the same machine. 0 when there is no baseline.
	Ratio  float64  `json:"p50_ratio,omitempty"`
	Rounds []sample `json:"rounds"`
}

// sample is what one round found.
type sample struct {
	P50Micros     float64 `json:"p50_us"`
	P95Micros     float64 `json:"p95_us"`
	MBPerSecond   float64 `json:"mb_per_second"`
	CPUMicros     float64 `json:"cpu_us_per_append"`
	Allocations   float64 `json:"allocations_per_append"`
	DevicePerByte float64 `json:"device_bytes_per_byte"` // what the disk got, from everyone
	OthersCores   float64 `json:"others_cores"`          // cores that other processes used
}

// fields are the numbers of a sample, for medians.
func (s *sample) fields() []*float64 {
	return []*float64{&s.P50Micros, &s.P95Micros, &s.MBPerSecond, &s.CPUMicros, &s.Allocations, &s.DevicePerByte, &s.OthersCores}
}

// summarise reduces the rounds of one contestant, of which there is at least one.
func summarise(name string, rounds []sample) row {
	r := row{Contestant: name, Rounds: rounds}
	for i, field := range r.Median.fields() {
		values := make([]float64, len(rounds))
		for n := range rounds {
			values[n] = *rounds[n].fields()[i]
		}
		*field = median(values)
	}
	return r
}

// compare sets the ratios to the contestant of that name, if it took part.
func (t *table) compare(name string) {
	at := slices.IndexFunc(t.Rows, func(r row) bool { return r.Contestant == name })
	if at < 0 {
		return
	}
	base := t.Rows[at].Rounds
	for i := range t.Rows {
		ratios := make([]float64, len(base))
		for n, s := range t.Rows[i].Rounds {
			ratios[n] = s.P50Micros / base[n].P50Micros
		}
		t.Rows[i].Ratio = median(ratios)
	}
}

// median returns the middle value, or the mean of the two; 0 for no values.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// markdown is the table as one prints it.
func (t *table) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "**batches of %d bytes**, %d in a round\n\n", t.BatchBytes, t.AppendsPerRound)
	b.WriteString("| | p50 µs | p95 µs | p50 to " + baseline + " | MB/s | CPU µs/append | allocations/append | disk B/B |\n")
	b.WriteString("|---|--:|--:|--:|--:|--:|--:|--:|\n")
	busiest := 0.0
	for i := range t.Rows {
		r := &t.Rows[i]
		m := &r.Median
		ratio := "–"
		if r.Ratio > 0 {
			ratio = fmt.Sprintf("%.2f", r.Ratio)
		}
		fmt.Fprintf(&b, "| %s | %.0f | %.0f | %s | %.1f | %.0f | %.1f | %.2f |\n",
			r.Contestant, m.P50Micros, m.P95Micros, ratio, m.MBPerSecond, m.CPUMicros, m.Allocations, m.DevicePerByte)
		busiest = max(busiest, m.OthersCores)
	}
	fmt.Fprintf(&b, "\nOther processes used up to %.1f cores (median over a contestant's rounds).\n", busiest)
	return b.String()
}

func (r *report) write(file string) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(data, '\n'), 0o644)
}

// machine is what the numbers depend on.
type machine struct {
	CPU    string  `json:"cpu"`
	Cores  int     `json:"cores"`
	Kernel string  `json:"kernel"`
	Go     string  `json:"go"`
	Load   float64 `json:"load"` // average of the last minute, before the start
}

// readMachine leaves out what /proc does not tell.
func readMachine() machine {
	read := func(name string) string {
		data, _ := os.ReadFile("/proc/" + name)
		return strings.TrimSpace(string(data))
	}
	m := machine{Cores: runtime.NumCPU(), Go: runtime.Version(), Kernel: read("sys/kernel/osrelease")}
	load, _, _ := strings.Cut(read("loadavg"), " ")
	m.Load, _ = strconv.ParseFloat(load, 64)
	if _, after, ok := strings.Cut(read("cpuinfo"), "model name"); ok {
		line, _, _ := strings.Cut(after, "\n")
		m.CPU = strings.Trim(line, "\t: ")
	}
	return m
}

func (m machine) String() string {
	return fmt.Sprintf("%d cores (%s), Linux %s, %s, load %.1f before the start", m.Cores, m.CPU, m.Kernel, m.Go, m.Load)
}
