package main

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// sample is what one turn measured.
type sample struct{ perSecond, p50US, p99US float64 }

// measure has callers make calls of random keys, one after the other each, and counts those that
// begin in the timed part.
func measure(ctx context.Context, callers int, turn time.Duration, keys int, do func(ctx context.Context, key string) error) (sample, error) {
	names := make([]string, keys)
	for i := range names {
		names[i] = keyOf(i)
	}
	var mu sync.Mutex
	all := hdrhistogram.New(1, 60_000_000, 3)
	var failed error
	from := time.Now().Add(turn / 4)
	to := from.Add(turn)
	var wait sync.WaitGroup
	for range callers {
		wait.Go(func() {
			own := hdrhistogram.New(1, 60_000_000, 3)
			var err error
			for at := time.Now(); err == nil && at.Before(to); {
				err = do(ctx, names[rand.IntN(keys)])
				now := time.Now()
				if at.After(from) {
					_ = own.RecordValue(now.Sub(at).Microseconds()) // a minute is the most
				}
				at = now
			}
			mu.Lock()
			defer mu.Unlock()
			all.Merge(own)
			if err != nil {
				failed = err
			}
		})
	}
	wait.Wait()
	return sample{
		perSecond: float64(all.TotalCount()) / turn.Seconds(),
		p50US:     float64(all.ValueAtQuantile(50)), p99US: float64(all.ValueAtQuantile(99)),
	}, failed
}
