package cli

import (
	"context"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/sheafdb/sheaf"
)

// bench is one measurement.
type bench struct {
	callers  int
	duration time.Duration
	// interval is the time between the batches of an open loop; 0 is a closed loop.
	interval time.Duration
	load     workload
	// write writes one batch and tells how often it was sent.
	write func(context.Context, []sheaf.Entry) (attempts int, err error)
}

// caller is what one of the callers measured. Each has its own, so measuring
// shares nothing between them.
type caller struct {
	times   *hdrhistogram.Histogram // in microseconds
	batches int
	retries int
	late    int // due, and not sent before the end
	errors  map[sheaf.Code]int
	lastErr error
}

// run measures until the duration is over or ctx ends, and waits for the batches
// that are then at work. The error is one of those that the batches met.
func (b *bench) run(ctx context.Context) (benchReport, error) {
	callers := make([]caller, b.callers)
	var wg sync.WaitGroup
	var ticket atomic.Int64
	began := time.Now()
	for i := range callers {
		callers[i] = caller{times: hdrhistogram.New(1, maxBatchMicros, 3), errors: make(map[sheaf.Code]int)}
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(1, uint64(i)))
			if b.interval > 0 {
				b.open(ctx, &callers[i], rng, began, &ticket)
			} else {
				b.closed(ctx, &callers[i], rng, began)
			}
		})
	}
	wg.Wait()
	return b.report(callers, time.Since(began))
}

func (b *bench) closed(ctx context.Context, c *caller, rng *rand.Rand, began time.Time) {
	entries := b.load.buffer()
	for ctx.Err() == nil && time.Since(began) < b.duration {
		b.load.fill(entries, rng)
		b.one(ctx, c, entries, time.Now())
	}
}

// open takes the next batch of the schedule that no other caller has taken.
func (b *bench) open(ctx context.Context, c *caller, rng *rand.Rand, began time.Time, ticket *atomic.Int64) {
	entries := b.load.buffer()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		offset := time.Duration(ticket.Add(1)-1) * b.interval
		if offset >= b.duration {
			return
		}
		due := began.Add(offset)
		b.load.fill(entries, rng)
		timer.Reset(time.Until(due))
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		if time.Since(began) >= b.duration { // the schedule ran ahead of the callers
			c.late++
			continue
		}
		b.one(ctx, c, entries, due)
	}
}

// one writes a batch whose time counts from due.
func (b *bench) one(ctx context.Context, c *caller, entries []sheaf.Entry, due time.Time) {
	attempts, err := b.write(context.WithoutCancel(ctx), entries)
	if err != nil {
		c.errors[sheaf.CodeOf(err)]++
		c.lastErr = err
		return
	}
	c.batches++
	c.retries += max(attempts-1, 0)
	_ = c.times.RecordValue(min(max(time.Since(due).Microseconds(), 1), maxBatchMicros))
}

// workload makes batches out of a key space.
type workload struct {
	keys, entries        uint64
	keyBytes, valueBytes int
	noise                []byte // what values are cut from
}

// newWorkload fills the values with noise, which does not compress: real values
// would flatter a store that compresses in an unknown measure.
func newWorkload(keys uint64, entries, keyBytes, valueBytes int) workload {
	noise := make([]byte, 1<<20+valueBytes)
	rng := rand.New(rand.NewPCG(2, 0))
	for i := range noise {
		noise[i] = byte(rng.Uint32())
	}
	return workload{keys: keys, entries: uint64(entries), keyBytes: keyBytes, valueBytes: valueBytes, noise: noise}
}

// buffer returns the entries that a caller fills again and again.
func (w *workload) buffer() []sheaf.Entry {
	entries := make([]sheaf.Entry, w.entries)
	for i := range entries {
		entries[i].Key = make([]byte, w.keyBytes)
	}
	return entries
}

// fill draws a batch: neighbours in the numbering of the key space, which key
// scatters over the order of the keys.
func (w *workload) fill(entries []sheaf.Entry, rng *rand.Rand) {
	first := rng.Uint64N(w.keys)
	for i := range entries {
		w.key(entries[i].Key, (first+uint64(i))%w.keys)
		at := rng.IntN(len(w.noise) - w.valueBytes)
		entries[i].Value = w.noise[at : at+w.valueBytes]
	}
}

// key writes the key with a number: "bench/", sixteen digits, and zeros.
func (w *workload) key(to []byte, number uint64) {
	out := append(to[:0], "bench/"...)
	digits := strconv.AppendUint(nil, scatter(number), 16)
	for range 16 - len(digits) {
		out = append(out, '0')
	}
	out = append(out, digits...)
	for len(out) < w.keyBytes {
		out = append(out, '0')
	}
}

// scatter is the finalizer of SplitMix64 (Steele, Lea and Flood 2014): one to
// one, so that different numbers stay different keys.
func scatter(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
