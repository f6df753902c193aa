package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Metrics are a node's metrics. A nil *Metrics takes everything and keeps
// nothing. Its methods may be called from any goroutine.
//
// Invariant: every label has a fixed set of values (metrics_labels.go) or is the number of
// a group, whatever a caller sends, so the number of series is bounded.
type Metrics struct {
	reg           *prometheus.Registry
	putAllLatency *prometheus.HistogramVec
	putAllEntries prometheus.Histogram
	putAllBytes   prometheus.Histogram
	stageLatency  *prometheus.HistogramVec
	getAllLatency *prometheus.HistogramVec
	requests      *prometheus.CounterVec
}

// The classic buckets. They are there for whoever cannot read native
// histograms, so they are few.
var (
	latencyBuckets = []float64{
		.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10,
	}
	entryBuckets = []float64{1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000, 100_000}
	byteBuckets  = prometheus.ExponentialBuckets(64, 4, 11) // to 64 MiB
)

// histogram is native and classic at once. The native part has a resolution of
// 10 %, which is what makes quantiles of several nodes add up.
func histogram(name, help string, buckets []float64) prometheus.HistogramOpts {
	return prometheus.HistogramOpts{
		Name: name, Help: help, Buckets: buckets,
		NativeHistogramBucketFactor:     1.1,
		NativeHistogramMaxBucketNumber:  160,
		NativeHistogramMinResetDuration: time.Hour,
	}
}

// NewMetrics registers a node's metrics, and those of the Go runtime and the
// process, with reg. It panics when reg has them already.
func NewMetrics(reg *prometheus.Registry) *Metrics {
	m := &Metrics{
		reg: reg,
		putAllLatency: prometheus.NewHistogramVec(histogram("sheaf_putall_latency_seconds",
			"Time from the arrival of a write to its answer.", latencyBuckets), []string{"face", "consistency", "reason"}),
		putAllEntries: prometheus.NewHistogram(histogram("sheaf_putall_batch_entries",
			"Entries of each batch that had a valid shape.", entryBuckets)),
		putAllBytes: prometheus.NewHistogram(histogram("sheaf_putall_batch_bytes",
			"Encoded size of each batch that had a valid shape.", byteBuckets)),
		stageLatency: prometheus.NewHistogramVec(histogram("sheaf_stage_latency_seconds",
			"Time that a batch spent in one stage.", latencyBuckets), []string{"stage"}),
		getAllLatency: prometheus.NewHistogramVec(histogram("sheaf_getall_latency_seconds",
			"Time from the arrival of a read to its answer, of one key or many.", latencyBuckets), []string{"face", "reason"}),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sheaf_requests_total", Help: "Requests answered, by what became of them.",
		}, []string{"face", "method", "reason"}),
	}
	reg.MustRegister(
		m.putAllLatency, m.putAllEntries, m.putAllBytes, m.stageLatency, m.getAllLatency, m.requests,
		collectors.NewGoCollector(),
		newPauseCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return m
}

// PutAllSample is what is measured of one write, whichever call carried it.
type PutAllSample struct {
	Face, Consistency string
	// Reason is the error's code; empty when the write succeeded.
	Reason  string
	Latency time.Duration
	// Entries and Bytes are 0 when the batch's shape was refused.
	Entries, Bytes int
	Stages         *Stages
}

// ObservePutAll counts one write.
func (m *Metrics) ObservePutAll(s PutAllSample) {
	if m == nil {
		return
	}
	m.putAllLatency.WithLabelValues(faceLabel(s.Face), consistencyLabel(s.Consistency), reasonLabel(s.Reason)).
		Observe(s.Latency.Seconds())
	if s.Entries > 0 {
		m.putAllEntries.Observe(float64(s.Entries))
		m.putAllBytes.Observe(float64(s.Bytes))
	}
	s.Stages.Each(func(stage Stage, d time.Duration) {
		m.stageLatency.WithLabelValues(stage.String()).Observe(d.Seconds())
	})
}

// ObserveRequest counts one request of any kind. Methods are the lower-case
// names of metrics_labels.go; the latency of "getall" and "get" goes into a histogram.
func (m *Metrics) ObserveRequest(face, method, reason string, latency time.Duration) {
	if m == nil {
		return
	}
	face, method, reason = faceLabel(face), methodLabel(method), reasonLabel(reason)
	m.requests.WithLabelValues(face, method, reason).Inc()
	if method == "getall" || method == "get" {
		m.getAllLatency.WithLabelValues(face, reason).Observe(latency.Seconds())
	}
}
