package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sheafdb/sheaf/bench/measure"
)

// What a run may not exceed.
const (
	soakMaxP95 = 1.5 // the p95 of the last third over that of the first
	soakMaxRSS = 1.1 // the most memory in the second half after a quarter to warm up, over that in the first
)

// judge says what grew that should not have. The first third is the warm-up.
func (f *soakFound) judge() {
	f.Failures = []string{}
	third := len(f.Samples) / 3
	if third == 0 {
		f.Failures = append(f.Failures, "the run was too short to have thirds")
		return
	}
	first, last := f.Samples[:third], f.Samples[len(f.Samples)-third:]
	p95 := func(s soakSample) float64 { return s.P95MS }
	if early, late := measure.Median(column(first, p95)), measure.Median(column(last, p95)); late > soakMaxP95*early {
		f.Failures = append(f.Failures, fmt.Sprintf("p95 went from %.2f to %.2f ms", early, late))
	}
	rss := func(s soakSample) float64 { return float64(s.ResidentBytes) }
	// A heap goes up and down, so two parts of one length are compared: the more samples,
	// the higher the highest.
	warm := f.Samples[len(f.Samples)/4:]
	if early, late := slices.Max(column(warm[:len(warm)/2], rss)), slices.Max(column(warm[len(warm)/2:], rss)); late > soakMaxRSS*early {
		f.Failures = append(f.Failures, fmt.Sprintf("memory went from %s to %s MiB", mib(int64(early)), mib(int64(late))))
	}
	// Goroutines come and go with the calls; a leak lifts even the lowest count.
	goroutines := func(s soakSample) float64 { return s.Goroutines }
	if early, late := slices.Max(column(first, goroutines)), slices.Min(column(last, goroutines)); late > early {
		f.Failures = append(f.Failures, fmt.Sprintf("goroutines went from at most %.0f to at least %.0f", early, late))
	}
}

func column[S any](samples []S, of func(S) float64) []float64 {
	values := make([]float64, len(samples))
	for i := range samples {
		values[i] = of(samples[i])
	}
	return values
}

func (f *soakFound) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s for %.0f s at %s keys/s; the highest lasting rate was %s.\n\n", f.Contestant, f.Seconds,
		measure.Thousands(f.Target), measure.Thousands(f.PeakRate))
	b.WriteString("| third | keys/s | p50 ms | p95 ms | p99 ms | resident MiB | goroutines | GC pause p99 ms | log MiB |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	if third := len(f.Samples) / 3; third > 0 {
		for i, name := range []string{"first", "second", "last"} {
			part := f.Samples[i*third : (i+1)*third]
			if i == 2 {
				part = f.Samples[len(f.Samples)-third:]
			}
			m := func(of func(soakSample) float64) float64 { return measure.Median(column(part, of)) }
			fmt.Fprintf(&b, "| %s | %s | %.2f | %.2f | %.2f | %s | %.0f | %.3g | %s |\n", name,
				measure.Thousands(m(func(s soakSample) float64 { return s.KeysPerSecond })),
				m(func(s soakSample) float64 { return s.P50MS }), m(func(s soakSample) float64 { return s.P95MS }),
				m(func(s soakSample) float64 { return s.P99MS }),
				mib(int64(m(func(s soakSample) float64 { return float64(s.ResidentBytes) }))),
				m(func(s soakSample) float64 { return s.Goroutines }), m(func(s soakSample) float64 { return s.PauseP99MS }),
				mib(int64(m(func(s soakSample) float64 { return s.LogBytes }))))
		}
	}
	b.WriteString("\n")
	if len(f.Failures) == 0 {
		b.WriteString("Nothing grew that should not.\n")
	}
	for _, failure := range f.Failures {
		fmt.Fprintf(&b, "FAILED: %s.\n", failure)
	}
	return b.String()
}
