package main

import (
	"context"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/sheafdb/sheaf"
)

// sample is what one round found. Rate and latencies are of the batches that
// ended in the timed part. CPU and bytes are of the whole round, with its warm-up
// and the background work it left behind, over all its keys: work that is put
// off is work.
type sample struct {
	KeysPerSecond      float64 `json:"keys_per_second"`
	P50MS              float64 `json:"p50_ms"`
	P95MS              float64 `json:"p95_ms"`
	P99MS              float64 `json:"p99_ms"`
	CPUMicrosPerKey    float64 `json:"cpu_us_per_key"`
	ClientCPUPerKey    float64 `json:"client_cpu_us_per_key"` // 0 when the contestant is in this process
	ChargedBytesPerKey float64 `json:"charged_bytes_per_key"` // what the kernel charged to the process
	DeviceBytesPerKey  float64 `json:"device_bytes_per_key"`  // what the disk got, from everyone; 0 when unknown
	OthersCores        float64 `json:"others_cores"`          // cores that neither side of the contest used
	Retries            int     `json:"retries"`
}

// round is one contestant's turn.
type round struct {
	contestant contestant
	load       *workload
	device     device
	callers    int
	plan       plan
	seed       uint64
}

// maxBatchMicros bounds what the histograms can hold.
const maxBatchMicros = 60_000_000

// caller is what one of the callers counted; they share nothing while it runs.
type caller struct {
	times   *hdrhistogram.Histogram // in microseconds, of the timed part
	batches int                     // of the whole round
	retries int
	err     error
}

func newTimes() *hdrhistogram.Histogram { return hdrhistogram.New(1, maxBatchMicros, 3) }

func (r *round) run(ctx context.Context) (sample, error) {
	before, err := r.spent()
	if err != nil {
		return sample{}, err
	}
	ctx, cancel := context.WithCancel(ctx) // the first error ends the round
	defer cancel()
	timed := before.at.Add(r.plan.WarmUp)
	callers := make([]caller, r.callers)
	var wg sync.WaitGroup
	for i := range callers {
		callers[i].times = newTimes()
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(r.seed, uint64(i)))
			if callers[i].err = r.call(ctx, &callers[i], rng, timed); callers[i].err != nil {
				cancel()
			}
		})
	}
	wg.Wait()
	for i := range callers {
		if err := callers[i].err; err != nil {
			return sample{}, err
		}
	}
	if err := ctx.Err(); err != nil {
		return sample{}, err
	}
	if err := settle(ctx, r.contestant.pid()); err != nil {
		return sample{}, err
	}
	after, err := r.spent()
	if err != nil {
		return sample{}, err
	}
	return r.sum(callers, before, after), nil
}

// call writes batches, one after the other, until the timed part is over.
func (r *round) call(ctx context.Context, c *caller, rng *rand.Rand, timed time.Time) error {
	entries := make([]sheaf.Entry, batchEntries)
	for ctx.Err() == nil {
		r.load.fill(entries, rng)
		begin := time.Now()
		retries, err := r.contestant.write(entries)
		end := time.Now()
		if err != nil {
			return err
		}
		c.batches++
		c.retries += retries
		switch {
		case end.Sub(timed) > r.plan.Timed:
			return nil
		case end.After(timed):
			_ = c.times.RecordValue(min(max(end.Sub(begin).Microseconds(), 1), maxBatchMicros))
		}
	}
	return nil
}

func (r *round) sum(callers []caller, before, after spent) sample {
	var s sample
	times := newTimes()
	keys := 0.0
	for i := range callers {
		times.Merge(callers[i].times)
		keys += float64(callers[i].batches * batchEntries)
		s.Retries += callers[i].retries
	}
	s.KeysPerSecond = float64(times.TotalCount()*batchEntries) / r.plan.Timed.Seconds()
	s.P50MS = float64(times.ValueAtQuantile(50)) / 1000
	s.P95MS = float64(times.ValueAtQuantile(95)) / 1000
	s.P99MS = float64(times.ValueAtQuantile(99)) / 1000
	contestant := after.contestant.cpu - before.contestant.cpu
	own := after.own.cpu - before.own.cpu
	both := own
	if r.contestant.pid() != os.Getpid() {
		s.ClientCPUPerKey = own.Seconds() * 1e6 / keys
		both += contestant
	}
	s.CPUMicrosPerKey = contestant.Seconds() * 1e6 / keys
	s.ChargedBytesPerKey = float64(after.contestant.writtenBytes-before.contestant.writtenBytes) / keys
	s.DeviceBytesPerKey = float64(after.deviceBytes-before.deviceBytes) / keys
	s.OthersCores = max(0, (after.machine-before.machine-both).Seconds()/after.at.Sub(before.at).Seconds())
	return s
}
