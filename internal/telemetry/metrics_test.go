package telemetry

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
)

// series gathers the samples of the metrics whose name begins with "sheaf_", as
// "name labels value", histograms by their count.
func series(t *testing.T, reg *prometheus.Registry) []string {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, family := range families {
		if len(family.GetName()) < 6 || family.GetName()[:6] != "sheaf_" {
			continue
		}
		for _, metric := range family.GetMetric() {
			line := family.GetName()
			for _, label := range metric.GetLabel() {
				line += " " + label.GetValue()
			}
			value := metric.GetCounter().GetValue() + metric.GetGauge().GetValue()
			if h := metric.GetHistogram(); h != nil {
				if h.Schema == nil || len(h.GetBucket()) == 0 {
					t.Errorf("%s is not both native and classic", line)
				}
				value = float64(h.GetSampleCount())
			}
			out = append(out, fmt.Sprintf("%s %g", line, value))
		}
	}
	slices.Sort(out)
	return out
}

func TestMetricsCountWhatTheyAreTold(t *testing.T) {
	reg := prometheus.NewRegistry()
	m := NewMetrics(reg)
	var stages Stages
	stages.Add(Log, time.Millisecond)
	m.ObservePutAll(PutAllSample{Face: "grpc", Consistency: "linearizable", Latency: time.Millisecond, Entries: 3, Bytes: 100, Stages: &stages})
	m.ObservePutAll(PutAllSample{Face: "http", Reason: "INVALID_BATCH"})
	m.ObserveRequest("grpc", "GetAll", "", time.Millisecond)
	m.RegisterNode(func() NodeSample {
		return NodeSample{AppliedIndex: 7, LogBytes: 8, NoSpace: true, Groups: []GroupSample{{ID: 1, Leads: true, Prepared: 3}, {ID: 2}}}
	})
	want := []string{ // labels in the order of their names
		"sheaf_applied_index 7",
		"sheaf_clock 0",
		"sheaf_disk_free_bytes 0",
		"sheaf_durable_index 0",
		"sheaf_feed_bytes 0",
		"sheaf_getall_latency_seconds grpc ok 1",
		"sheaf_in_flight_bytes 0",
		"sheaf_in_flight_limit_bytes 0",
		"sheaf_leads 1 1",
		"sheaf_leads 2 0",
		"sheaf_log_bytes 8",
		"sheaf_no_space 1",
		"sheaf_prepared_batches 1 3",
		"sheaf_prepared_batches 2 0",
		"sheaf_putall_batch_bytes 1",
		"sheaf_putall_batch_entries 1",
		"sheaf_putall_latency_seconds linearizable grpc ok 1",
		"sheaf_putall_latency_seconds linearizable http INVALID_BATCH 1",
		"sheaf_request_ids 0",
		"sheaf_requests_total grpc getall ok 1",
		"sheaf_stage_latency_seconds log 1",
		"sheaf_watches 0",
	}
	if diff := cmp.Diff(want, series(t, reg)); diff != "" {
		t.Errorf("series (-want +got):\n%s", diff)
	}
}

func TestLabelsAreBounded(t *testing.T) {
	reg := prometheus.NewRegistry()
	m := NewMetrics(reg)
	for i := range 100 {
		odd := fmt.Sprint("odd", i)
		m.ObserveRequest(odd, odd, odd, 0)
		m.ObservePutAll(PutAllSample{Face: odd, Consistency: odd, Reason: odd})
	}
	want := []string{
		"sheaf_putall_batch_bytes 0", "sheaf_putall_batch_entries 0",
		"sheaf_putall_latency_seconds other other other 100", "sheaf_requests_total other other other 100",
	}
	if diff := cmp.Diff(want, series(t, reg)); diff != "" {
		t.Errorf("series (-want +got):\n%s", diff)
	}
}

func TestNilMetricsTakeEverything(t *testing.T) {
	var m *Metrics
	m.ObservePutAll(PutAllSample{})
	m.ObserveRequest("", "", "", 0)
	m.RegisterNode(nil)
}
