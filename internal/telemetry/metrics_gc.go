package telemetry

import (
	"math"
	"runtime/metrics"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
)

// gcPauses is the runtime's own histogram of how long all goroutines stood still
// for the garbage collector (package runtime/metrics).
const gcPauses = "/sched/pauses/total/gc:seconds"

// pauseBuckets are finer than what client_golang makes of the runtime's
// histogram, powers of ten: a 99th percentile is asked of them.
var pauseBuckets = []float64{
	1e-6, 2e-6, 5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, .01, .02, .05, .1, .2, .5, 1,
}

// pauseCollector exports the pauses since the process began. The Go collector's
// go_gc_duration_seconds is a summary, whose quantiles are of the last 256
// collections and cannot be subtracted.
type pauseCollector struct{ desc *prometheus.Desc }

func newPauseCollector() pauseCollector {
	return pauseCollector{prometheus.NewDesc("go_gc_pause_seconds",
		"How long all goroutines stood still for the garbage collector; the sum is an estimate.", nil, nil)}
}

// Describe implements prometheus.Collector.
func (c pauseCollector) Describe(out chan<- *prometheus.Desc) { out <- c.desc }

// Collect implements prometheus.Collector.
func (c pauseCollector) Collect(out chan<- prometheus.Metric) {
	sample := []metrics.Sample{{Name: gcPauses}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindFloat64Histogram {
		return // a runtime that does not count them
	}
	count, sum, buckets := rebucket(sample[0].Value.Float64Histogram(), pauseBuckets)
	out <- prometheus.MustNewConstHistogram(c.desc, count, sum, buckets)
}

// rebucket counts what h holds up to each bound. A bucket of h that a bound
// divides counts as above it, so that no quantile is understated. The sum takes
// the middle of each bucket.
func rebucket(h *metrics.Float64Histogram, bounds []float64) (count uint64, sum float64, upTo map[float64]uint64) {
	within := make([]uint64, len(bounds)+1)
	for i, n := range h.Counts {
		low, high := h.Buckets[i], h.Buckets[i+1]
		at, _ := slices.BinarySearch(bounds, high)
		within[at] += n
		count += n
		switch { // the outermost buckets may be open
		case math.IsInf(low, -1):
			low = min(high, 0)
		case math.IsInf(high, 1):
			high = low
		}
		sum += float64(n) * (low + high) / 2
	}
	upTo = make(map[float64]uint64, len(bounds))
	var total uint64
	for i, bound := range bounds {
		total += within[i]
		upTo[bound] = total
	}
	return count, sum, upTo
}
