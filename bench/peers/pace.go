package main

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/bench/contest"
)

// pace hands out the times at which batches are due.
type pace struct {
	began, end time.Time
	every      time.Duration // between batches
	next       atomic.Int64  // the number of the next batch

	mu    sync.Mutex
	times *hdrhistogram.Histogram // of the window, in microseconds
}

func newPace(keysPerSecond float64, length time.Duration) *pace {
	now := time.Now()
	return &pace{
		began: now, end: now.Add(length), times: contest.NewTimes(),
		every: time.Duration(float64(contest.BatchEntries) / keysPerSecond * float64(time.Second)),
	}
}

// call writes a batch whenever it is this caller's turn, until the end.
func (p *pace) call(ctx context.Context, load *contest.Workload, c contest.Contestant, rng *rand.Rand) error {
	entries := make([]sheaf.Entry, contest.BatchEntries)
	for {
		due := p.began.Add(time.Duration(p.next.Add(1)-1) * p.every)
		if due.After(p.end) {
			return nil
		}
		load.Uniform(entries, rng)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Until(due)):
		}
		if _, err := c.Write(entries); err != nil {
			return err
		}
		took := time.Since(due).Microseconds()
		p.mu.Lock()
		_ = p.times.RecordValue(min(max(took, 1), contest.MaxBatchMicros))
		p.mu.Unlock()
	}
}

// take returns the histogram of the window and begins another.
func (p *pace) take() *hdrhistogram.Histogram {
	p.mu.Lock()
	defer p.mu.Unlock()
	times := p.times
	p.times = contest.NewTimes()
	return times
}
