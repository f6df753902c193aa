package telemetry

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// NodeSample is the state of a node at one instant.
type NodeSample struct {
	// AppliedIndex and DurableIndex are log positions: applied, and safe in the
	// store without the log. Between them lies what a restart replays.
	AppliedIndex, DurableIndex uint64
	// Clock is the largest version given.
	Clock uint64
	// LogBytes is the size of the log's files.
	LogBytes int64
	// FeedBytes is what is kept for Watches, which is how many are open.
	FeedBytes int64
	Watches   int
	// RequestIDs is how many request IDs are remembered.
	RequestIDs uint64
	// InFlightBytes is what admission has counted, InFlightLimitBytes its limit.
	InFlightBytes, InFlightLimitBytes int64
	// DiskFreeBytes is the free space of the data directory's disk.
	DiskFreeBytes int64
	// NoSpace: writes are refused for want of space.
	NoSpace bool
	// Groups are those that the node has a replica of.
	Groups []GroupSample
}

// GroupSample is the state of a group's replica on this node.
type GroupSample struct {
	ID uint64
	// Leads: the replica leads the group, as far as it knows.
	Leads bool
	// Prepared are the batches over several groups that hold keys here.
	Prepared int
}

// RegisterNode exports what sample returns; it is called once per scrape, so
// that all gauges are of the same instant. It must be called once at most.
func (m *Metrics) RegisterNode(sample func() NodeSample) {
	if m != nil {
		m.reg.MustRegister(nodeCollector{sample})
	}
}

type nodeCollector struct{ sample func() NodeSample }

type nodeGauge struct {
	desc  *prometheus.Desc
	value func(NodeSample) float64
}

func gauge(name, help string, value func(NodeSample) float64) nodeGauge {
	return nodeGauge{prometheus.NewDesc(name, help, nil, nil), value}
}

var nodeGauges = []nodeGauge{
	gauge("sheaf_applied_index", "Last log entry applied.", func(s NodeSample) float64 { return float64(s.AppliedIndex) }),
	gauge("sheaf_durable_index", "Last log entry that the store holds without the log.", func(s NodeSample) float64 { return float64(s.DurableIndex) }),
	gauge("sheaf_clock", "Largest version given to a batch.", func(s NodeSample) float64 { return float64(s.Clock) }),
	gauge("sheaf_log_bytes", "Size of the log's files.", func(s NodeSample) float64 { return float64(s.LogBytes) }),
	gauge("sheaf_request_ids", "Request IDs remembered.", func(s NodeSample) float64 { return float64(s.RequestIDs) }),
	gauge("sheaf_in_flight_bytes", "Bytes of the requests at work.", func(s NodeSample) float64 { return float64(s.InFlightBytes) }),
	gauge("sheaf_in_flight_limit_bytes", "Limit of sheaf_in_flight_bytes.", func(s NodeSample) float64 { return float64(s.InFlightLimitBytes) }),
	gauge("sheaf_disk_free_bytes", "Free space on the data directory's disk.", func(s NodeSample) float64 { return float64(s.DiskFreeBytes) }),
	gauge("sheaf_watches", "Watches that are open.", func(s NodeSample) float64 { return float64(s.Watches) }),
	gauge("sheaf_feed_bytes", "Bytes of the newest changes that are kept for watches.", func(s NodeSample) float64 { return float64(s.FeedBytes) }),
	gauge("sheaf_no_space", "1 while writes are refused because the disk is full.", func(s NodeSample) float64 { return oneIf(s.NoSpace) }),
}

var leads = prometheus.NewDesc("sheaf_leads", "1 on the node whose replica leads the group.", []string{"group"}, nil)

var prepared = prometheus.NewDesc("sheaf_prepared_batches", "Batches over several groups that hold keys of the group.", []string{"group"}, nil)

func oneIf(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// Describe implements prometheus.Collector.
func (nodeCollector) Describe(out chan<- *prometheus.Desc) {
	for _, g := range nodeGauges {
		out <- g.desc
	}
	out <- leads
	out <- prepared
}

// Collect implements prometheus.Collector.
func (c nodeCollector) Collect(out chan<- prometheus.Metric) {
	s := c.sample()
	for _, g := range nodeGauges {
		out <- prometheus.MustNewConstMetric(g.desc, prometheus.GaugeValue, g.value(s))
	}
	for _, g := range s.Groups {
		out <- prometheus.MustNewConstMetric(leads, prometheus.GaugeValue, oneIf(g.Leads), strconv.FormatUint(g.ID, 10))
		out <- prometheus.MustNewConstMetric(prepared, prometheus.GaugeValue, float64(g.Prepared), strconv.FormatUint(g.ID, 10))
	}
}
