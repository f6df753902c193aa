package cli

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/sheafdb/sheaf"
)

// benchReport is what a measurement found.
type benchReport struct {
	Mode             string             `json:"mode"`
	Store            string             `json:"store"`
	Level            string             `json:"consistency"`
	Callers          int                `json:"callers"`
	EntriesPerBatch  uint64             `json:"entries_per_batch"`
	KeyBytes         int                `json:"key_bytes"`
	ValueBytes       int                `json:"value_bytes"`
	Seconds          float64            `json:"seconds"`
	Batches          int                `json:"batches"`
	KeysPerSecond    float64            `json:"keys_per_second"`
	BatchesPerSecond float64            `json:"batches_per_second"`
	BytesPerSecond   float64            `json:"bytes_per_second"`
	Retries          int                `json:"retries"`
	Late             int                `json:"late"`
	Errors           map[sheaf.Code]int `json:"errors"`
	LatencyMS        benchLatency       `json:"latency_ms"`
}

type benchLatency struct {
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P95  float64 `json:"p95"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p99.9"`
	Max  float64 `json:"max"`
}

// report adds up what the callers measured. The error is the last one that the
// last caller with any met.
func (b *bench) report(callers []caller, took time.Duration) (benchReport, error) {
	r := benchReport{
		Callers: b.callers, EntriesPerBatch: b.load.entries, KeyBytes: b.load.keyBytes, ValueBytes: b.load.valueBytes,
		Seconds: took.Seconds(), Errors: make(map[sheaf.Code]int),
	}
	times := hdrhistogram.New(1, maxBatchMicros, 3)
	var err error
	for _, c := range callers {
		times.Merge(c.times)
		r.Batches += c.batches
		r.Retries += c.retries
		r.Late += c.late
		for code, n := range c.errors {
			r.Errors[code] += n
		}
		if c.lastErr != nil {
			err = c.lastErr
		}
	}
	r.BatchesPerSecond = float64(r.Batches) / r.Seconds
	r.KeysPerSecond = r.BatchesPerSecond * float64(b.load.entries)
	r.BytesPerSecond = r.KeysPerSecond * float64(b.load.keyBytes+b.load.valueBytes)
	at := func(quantile float64) float64 { return float64(times.ValueAtQuantile(quantile)) / 1000 }
	r.LatencyMS = benchLatency{P50: at(50), P90: at(90), P95: at(95), P99: at(99), P999: at(99.9), Max: float64(times.Max()) / 1000}
	return r, err
}

func (a *app) printBench(r benchReport) error {
	if a.output == jsonForm {
		return a.printJSON(r)
	}
	from := "from sending"
	if r.Mode == openLoop {
		from = "from when a batch was due"
	}
	w := columns(a.stdout)
	fmt.Fprintf(w, "what\t%s loop, %d callers, %d entries of %d + %d bytes, %s, store %s\n",
		r.Mode, r.Callers, r.EntriesPerBatch, r.KeyBytes, r.ValueBytes, r.Level, r.Store)
	fmt.Fprintf(w, "written\t%s batches in %.2f s\n", humanCount(int64(r.Batches)), r.Seconds)
	fmt.Fprintf(w, "rate\t%s keys/s, %.1f batches/s, %s/s\n",
		humanCount(int64(r.KeysPerSecond)), r.BatchesPerSecond, humanBytes(int64(r.BytesPerSecond)))
	l := r.LatencyMS
	fmt.Fprintf(w, "latency, ms\tp50 %.2f  p90 %.2f  p95 %.2f  p99 %.2f  p99.9 %.2f  max %.2f  (%s)\n",
		l.P50, l.P90, l.P95, l.P99, l.P999, l.Max, from)
	if r.Retries > 0 {
		fmt.Fprintf(w, "retries\t%s\n", humanCount(int64(r.Retries)))
	}
	for _, code := range slices.Sorted(maps.Keys(r.Errors)) {
		fmt.Fprintf(w, "errors\t%s %s\n", humanCount(int64(r.Errors[code])), code)
	}
	if r.Late > 0 {
		fmt.Fprintf(w, "not sent\t%s batches were due and every caller was still waiting: the latencies leave them out\n", humanCount(int64(r.Late)))
		fmt.Fprint(w, "\tlower --rate, or give more --callers\n")
	}
	return w.Flush()
}
