package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/sheafdb/sheaf/bench/contest"
	"github.com/sheafdb/sheaf/bench/measure"
)

const (
	// soakShare of the highest rate leaves room for what a store puts off.
	soakShare = 0.7
	// soakPeak is how long the highest rate is looked for. It counts the drain
	// in, because that is the rate that can last.
	soakPeak = 10 * time.Second
	// soakCallers bounds the batches at work at once; a server that answers in
	// time needs a few.
	soakCallers = maxCallers
	soakWindow  = 5 * time.Second // between samples
	soakLeast   = 15 * time.Second
	// soakWindows is the least number of samples in a run, so that its thirds
	// mean something; a short run has shorter windows.
	soakWindows = 12
)

// soakFound is a long run at a fixed rate.
type soakFound struct {
	Contestant string       `json:"contestant"`
	Seconds    float64      `json:"seconds"`
	PeakRate   float64      `json:"peak_keys_per_second"`
	Target     float64      `json:"target_keys_per_second"`
	Samples    []soakSample `json:"samples"`
	Failures   []string     `json:"failures"`
}

// soakSample is one window of the run. Latencies begin when a batch was due, not
// when a caller was free to send it.
type soakSample struct {
	Second        float64 `json:"second"` // at the end of the window
	KeysPerSecond float64 `json:"keys_per_second"`
	P50MS         float64 `json:"p50_ms"`
	P95MS         float64 `json:"p95_ms"`
	P99MS         float64 `json:"p99_ms"`
	ResidentBytes int64   `json:"resident_bytes"`
	Goroutines    float64 `json:"goroutines"`
	PauseP99MS    float64 `json:"gc_pause_p99_ms"` // an upper bound
	LogBytes      float64 `json:"log_bytes"`
}

// runSoak soaks one Sheaf server: the first that -only names, else sheaf-pebble.
func runSoak(ctx context.Context, s *session) (finding, error) {
	s.workload(contest.KeySpace)
	name := "sheaf-pebble"
	if len(s.plan.only) > 0 {
		name = s.plan.only[0]
	}
	if !isSheaf(name) {
		return nil, fmt.Errorf("soak reads the metrics of a Sheaf server: name one with -only, not %s", name)
	}
	r, err := s.start(ctx, entrantNamed(name), name+"-soak")
	if err != nil {
		return nil, err
	}
	found, err := s.soak(ctx, r)
	if err = joinEnd(err, r); err != nil {
		return found, err
	}
	found.judge()
	if s.chart == nil {
		s.chart = soakChart(found)
	}
	if len(found.Failures) > 0 {
		return found, errors.New(strings.Join(found.Failures, "; "))
	}
	return found, nil
}

func (s *session) soak(ctx context.Context, r *running) (*soakFound, error) {
	found := &soakFound{Contestant: r.entrant.name, Seconds: s.plan.Duration.Seconds()}
	// Every key is there before the rate is looked for: a run that begins with an
	// empty store gets slower as it grows.
	if _, err := s.load(ctx, r, s.arena.Load.Keys()); err != nil {
		return found, err
	}
	peak := contest.Round{
		Contestant: r, Draw: s.arena.Load.Uniform, Device: s.arena.Device, Callers: s.plan.Callers[0],
		Timed: min(soakPeak, s.plan.Duration/3),
	}
	sample, err := peak.Run(ctx)
	if err != nil {
		return found, err
	}
	found.PeakRate = min(sample.KeysPerSecond, sample.DrainedKeysPerSecond)
	found.Target = soakShare * found.PeakRate
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	pace := newPace(found.Target, s.plan.Duration)
	var wg sync.WaitGroup
	for i := range soakCallers {
		wg.Go(func() {
			if err := pace.call(ctx, s.arena.Load, r, rand.New(rand.NewPCG(7, uint64(i)))); err != nil {
				cancel(err)
			}
		})
	}
	err = s.watch(ctx, r, pace, found)
	cancel(err)
	wg.Wait()
	return found, err
}

// watch takes the samples, until the end of the run.
func (s *session) watch(ctx context.Context, r *running, pace *pace, found *soakFound) error {
	window := min(soakWindow, s.plan.Duration/soakWindows)
	windows := int(s.plan.Duration / window)
	p := newProgress("soak", windows)
	ticker := time.NewTicker(window)
	defer ticker.Stop()
	pauses, err := pausesOf(ctx, r)
	if err != nil {
		return err
	}
	for range windows {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		}
		var sample soakSample
		if sample, pauses, err = readSoak(ctx, r, pauses); err != nil {
			return err
		}
		times := pace.take()
		sample.Second = time.Since(pace.began).Seconds()
		last := 0.0
		if n := len(found.Samples); n > 0 {
			last = found.Samples[n-1].Second
		}
		sample.KeysPerSecond = float64(times.TotalCount()*contest.BatchEntries) / (sample.Second - last)
		sample.P50MS = float64(times.ValueAtQuantile(50)) / 1000
		sample.P95MS = float64(times.ValueAtQuantile(95)) / 1000
		sample.P99MS = float64(times.ValueAtQuantile(99)) / 1000
		found.Samples = append(found.Samples, sample)
		p.step("%s keys/s of %s, p95 %.1f ms, %s MiB", measure.Thousands(sample.KeysPerSecond), measure.Thousands(found.Target),
			sample.P95MS, mib(sample.ResidentBytes))
	}
	return nil
}

// readSoak reads the server's side of a sample, and its pauses for the next.
func readSoak(ctx context.Context, r *running, before []bucket) (sample soakSample, pauses []bucket, err error) {
	m, err := metricsOf(ctx, r)
	if err != nil {
		return sample, nil, err
	}
	memory, err := contest.MemoryOf(r.PIDs()...)
	if err != nil {
		return sample, nil, err
	}
	sample.ResidentBytes = memory.ResidentBytes
	if sample.Goroutines, err = m.value(metricGoroutines); err != nil {
		return sample, nil, err
	}
	if sample.LogBytes, err = m.value(metricLogBytes); err != nil {
		return sample, nil, err
	}
	if pauses, err = m.histogram(metricPauses); err != nil {
		return sample, nil, err
	}
	these, err := between(before, pauses)
	sample.PauseP99MS = 1000 * quantile(these, .99)
	return sample, pauses, err
}
