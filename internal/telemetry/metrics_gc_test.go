package telemetry

import (
	"math"
	"runtime"
	"runtime/metrics"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
)

func TestPausesOfTheCollectorAreExported(t *testing.T) {
	reg := prometheus.NewRegistry()
	NewMetrics(reg)
	pauses := func() (count uint64, buckets int) {
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, family := range families {
			if family.GetName() == "go_gc_pause_seconds" {
				h := family.GetMetric()[0].GetHistogram()
				return h.GetSampleCount(), len(h.GetBucket())
			}
		}
		t.Fatal("there is no go_gc_pause_seconds")
		return 0, 0
	}
	before, buckets := pauses()
	if buckets < len(pauseBuckets) {
		t.Errorf("there are %d buckets, want %d", buckets, len(pauseBuckets))
	}
	runtime.GC()
	if after, _ := pauses(); after <= before {
		t.Errorf("a collection left the count at %d, it was %d", after, before)
	}
}

func TestPauseIsNeverCountedBelowItsLength(t *testing.T) {
	h := &metrics.Float64Histogram{
		Counts:  []uint64{1, 2, 4, 8, 16},
		Buckets: []float64{math.Inf(-1), 0, 10, 15, 40, math.Inf(1)},
	}
	// 10 is where a bucket ends; 20 lies within one.
	count, sum, upTo := rebucket(h, []float64{10, 20, 50})
	if diff := cmp.Diff(map[float64]uint64{10: 3, 20: 7, 50: 15}, upTo); diff != "" {
		t.Errorf("buckets (-want +got):\n%s", diff)
	}
	if want := 2*5 + 4*12.5 + 8*27.5 + 16*40.0; count != 31 || sum != want {
		t.Errorf("count %d and sum %g, want 31 and %g", count, sum, want)
	}
}
