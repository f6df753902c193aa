package main

import (
	"fmt"
	"slices"

	dto "github.com/prometheus/client_model/go"
)

// The metrics of a Sheaf server that the scenarios ask for.
const (
	metricPauses     = "go_gc_pause_seconds"
	metricMallocs    = "go_memstats_mallocs_total"
	metricGoroutines = "go_goroutines"
	metricLogBytes   = "sheaf_log_bytes"
)

// metrics is what a server's page of metrics said at one time.
type metrics map[string]*dto.MetricFamily

// value is that of a counter or gauge without labels.
func (m metrics) value(name string) (float64, error) {
	family := m[name]
	if family == nil || len(family.GetMetric()) != 1 {
		return 0, fmt.Errorf("the server has no single metric %s", name)
	}
	metric := family.GetMetric()[0]
	switch {
	case metric.Counter != nil:
		return metric.GetCounter().GetValue(), nil
	case metric.Gauge != nil:
		return metric.GetGauge().GetValue(), nil
	case metric.Untyped != nil:
		return metric.GetUntyped().GetValue(), nil
	}
	return 0, fmt.Errorf("the server's metric %s is no number", name)
}

// bucket is how many values a histogram has up to a bound.
type bucket struct {
	upTo  float64
	count uint64
}

// histogram is the buckets of a histogram without labels, in order.
func (m metrics) histogram(name string) ([]bucket, error) {
	family := m[name]
	if family == nil || len(family.GetMetric()) != 1 || family.GetMetric()[0].Histogram == nil {
		return nil, fmt.Errorf("the server has no histogram %s", name)
	}
	var buckets []bucket
	for _, b := range family.GetMetric()[0].GetHistogram().GetBucket() {
		buckets = append(buckets, bucket{b.GetUpperBound(), b.GetCumulativeCount()})
	}
	slices.SortFunc(buckets, func(a, b bucket) int {
		switch {
		case a.upTo < b.upTo:
			return -1
		case a.upTo > b.upTo:
			return 1
		}
		return 0
	})
	return buckets, nil
}

// between is the histogram of what came after before. Both have the same bounds.
func between(before, after []bucket) ([]bucket, error) {
	if len(before) != len(after) {
		return nil, fmt.Errorf("a histogram had %d buckets and has %d", len(before), len(after))
	}
	difference := make([]bucket, len(after))
	for i := range after {
		if after[i].upTo != before[i].upTo || after[i].count < before[i].count {
			return nil, fmt.Errorf("the histogram is another: the server was restarted")
		}
		difference[i] = bucket{after[i].upTo, after[i].count - before[i].count}
	}
	return difference, nil
}

// total is how many values there are.
func total(buckets []bucket) uint64 {
	if len(buckets) == 0 {
		return 0
	}
	return buckets[len(buckets)-1].count
}

// quantile is the bound that at least this share of the values is within: an
// upper bound, which a value in the middle of a bucket is below. 0 for no values.
func quantile(buckets []bucket, share float64) float64 {
	all := total(buckets)
	for _, b := range buckets {
		if all > 0 && float64(b.count) >= share*float64(all) {
			return b.upTo
		}
	}
	return 0
}
