package contest

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/sheafdb/sheaf"
)

// Round is one contestant's turn.
type Round struct {
	Contestant Contestant
	Draw       Draw
	Device     Device
	Callers    int
	// WarmUp is run before the timed part and counts for neither rate nor latency.
	WarmUp, Timed time.Duration
	// Seed makes the draws of one round those of another, or not.
	Seed uint64
	// SyncDir, if set, is a directory whose file system is written out at the
	// end of the round, before its bytes are counted.
	SyncDir string
}

// MaxBatchMicros bounds what the histograms can hold.
const MaxBatchMicros = 60_000_000

// caller is what one of the callers counted; they share nothing while it runs.
type caller struct {
	times   *hdrhistogram.Histogram // in microseconds, of the timed part
	batches int                     // of the whole round
	retries int
	err     error
}

// NewTimes returns a histogram of microseconds.
func NewTimes() *hdrhistogram.Histogram { return hdrhistogram.New(1, MaxBatchMicros, 3) }

// Run gives the contestant its turn: callers write batches, one after the other,
// until the timed part is over, and the work that they left behind is waited for.
func (r *Round) Run(ctx context.Context) (Sample, error) {
	before, err := readSpent(r.Contestant.PIDs(), r.Device)
	if err != nil {
		return Sample{}, err
	}
	ctx, cancel := context.WithCancel(ctx) // the first error ends the round
	defer cancel()
	timed := before.at.Add(r.WarmUp)
	callers := make([]caller, r.Callers)
	var wg sync.WaitGroup
	for i := range callers {
		callers[i].times = NewTimes()
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(r.Seed, uint64(i)))
			if callers[i].err = r.call(ctx, &callers[i], rng, timed); callers[i].err != nil {
				cancel()
			}
		})
	}
	wg.Wait()
	worked := time.Since(before.at)
	for i := range callers {
		if err := callers[i].err; err != nil {
			return Sample{}, err
		}
	}
	if err := ctx.Err(); err != nil {
		return Sample{}, err
	}
	drain, err := Settle(ctx, r.Contestant.PIDs(), 0)
	if err != nil {
		return Sample{}, err
	}
	if r.SyncDir != "" {
		if err := Sync(r.SyncDir); err != nil {
			return Sample{}, err
		}
	}
	after, err := readSpent(r.Contestant.PIDs(), r.Device)
	if err != nil {
		return Sample{}, err
	}
	s := r.sum(callers, before, after, worked, drain)
	if !inProcess(r.Contestant.PIDs()) {
		memory, err := MemoryOf(r.Contestant.PIDs()...)
		if err != nil {
			return Sample{}, err
		}
		s.PeakMemoryBytes = float64(memory.PeakBytes)
	}
	return s, nil
}

func (r *Round) call(ctx context.Context, c *caller, rng *rand.Rand, timed time.Time) error {
	entries := make([]sheaf.Entry, BatchEntries)
	for ctx.Err() == nil {
		r.Draw(entries, rng)
		begin := time.Now()
		retries, err := r.Contestant.Write(entries)
		end := time.Now()
		if err != nil {
			return err
		}
		c.batches++
		c.retries += retries
		switch {
		case end.Sub(timed) > r.Timed:
			return nil
		case end.After(timed):
			_ = c.times.RecordValue(min(max(end.Sub(begin).Microseconds(), 1), MaxBatchMicros))
		}
	}
	return nil
}

// sum reduces what the callers counted. worked is how long they ran, drain how
// long the work went on that they left behind.
func (r *Round) sum(callers []caller, before, after spent, worked, drain time.Duration) Sample {
	var s Sample
	times := NewTimes()
	keys := 0.0
	for i := range callers {
		times.Merge(callers[i].times)
		keys += float64(callers[i].batches * BatchEntries)
		s.Retries += callers[i].retries
	}
	s.KeysPerSecond = float64(times.TotalCount()*BatchEntries) / r.Timed.Seconds()
	s.DrainedKeysPerSecond = keys / (worked + drain).Seconds()
	s.DrainMS = float64(drain.Milliseconds())
	s.P50MS = float64(times.ValueAtQuantile(50)) / 1000
	s.P95MS = float64(times.ValueAtQuantile(95)) / 1000
	s.P99MS = float64(times.ValueAtQuantile(99)) / 1000
	contestant := after.contestant.CPU - before.contestant.CPU
	own := after.own.CPU - before.own.CPU
	apart := !inProcess(r.Contestant.PIDs())
	if apart {
		s.ClientCPUPerKey = own.Seconds() * 1e6 / keys
	}
	s.CPUMicrosPerKey = contestant.Seconds() * 1e6 / keys
	s.ChargedBytesPerKey = float64(after.contestant.WrittenBytes-before.contestant.WrittenBytes) / keys
	s.DeviceBytesPerKey = float64(after.deviceBytes-before.deviceBytes) / keys
	s.OthersCores = after.others(before, apart)
	return s
}
