package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/sheafdb/sheaf/bench/contest"
	"github.com/sheafdb/sheaf/bench/measure"
)

// memoryFound is what the servers hold of the machine's memory.
type memoryFound struct {
	Keys int         `json:"keys"`
	Rows []memoryRow `json:"rows"`
}

type memoryRow struct {
	Contestant    string  `json:"contestant"`
	ResidentBytes int64   `json:"resident_bytes"`
	PeakBytes     int64   `json:"peak_bytes"`
	Ratio         float64 `json:"ratio,omitempty"` // resident, over that of Redis
	PerKey        float64 `json:"resident_bytes_per_key"`
}

// memoryBaseline is whom the ratios refer to.
const memoryBaseline = "redis-none"

// memoryRest is how long a server that has come to rest is left alone before its
// memory is read: what it has freed goes back to the machine after a while.
const memoryRest = 5 * time.Second

// runMemory loads one server after the other, so that each has the whole machine.
// Redis keeps nothing on disk here, so that no rewrite doubles its memory.
func runMemory(ctx context.Context, s *session) (finding, error) {
	s.workload(s.plan.Keys)
	chosen := s.chosenOf("sheaf-memory", "sheaf-pebble", memoryBaseline, "memcached")
	p := newProgress("memory", len(chosen))
	found := &memoryFound{Keys: s.plan.Keys}
	for _, e := range chosen {
		row, err := s.measureMemory(ctx, e)
		if err != nil {
			return found, err
		}
		found.Rows = append(found.Rows, row)
		p.step("%s holds %s MiB", e.name, mib(row.ResidentBytes))
	}
	found.compare()
	return found, nil
}

func (s *session) measureMemory(ctx context.Context, e entrant) (row memoryRow, err error) {
	r, _, err := s.startLoaded(ctx, e, s.plan.Keys)
	if err != nil {
		return row, err
	}
	defer func() { err = joinEnd(err, r) }()
	select {
	case <-ctx.Done():
		return row, ctx.Err()
	case <-time.After(memoryRest):
	}
	m, err := contest.MemoryOf(r.PIDs()...)
	return memoryRow{
		Contestant: e.name, ResidentBytes: m.ResidentBytes, PeakBytes: m.PeakBytes,
		PerKey: float64(m.ResidentBytes) / float64(s.plan.Keys),
	}, err
}

func (f *memoryFound) compare() {
	for _, base := range f.Rows {
		if base.Contestant != memoryBaseline {
			continue
		}
		for i := range f.Rows {
			f.Rows[i].Ratio = float64(f.Rows[i].ResidentBytes) / float64(base.ResidentBytes)
		}
	}
}

func (f *memoryFound) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s keys.\n\n", measure.Thousands(float64(f.Keys)))
	b.WriteString("| | resident MiB | bytes/key | to " + memoryBaseline + " | peak MiB |\n|---|--:|--:|--:|--:|\n")
	for _, r := range f.Rows {
		fmt.Fprintf(&b, "| %s | %s | %.0f | %s | %s |\n", r.Contestant, mib(r.ResidentBytes), r.PerKey, contest.Known(r.Ratio), mib(r.PeakBytes))
	}
	return b.String()
}

func mib(bytes int64) string { return measure.Thousands(float64(bytes) / (1 << 20)) }
