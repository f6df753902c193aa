package main

import (
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/bench/contest"
)

// stalling takes a millisecond for a batch, but the first takes half a second, in
// which it takes no other. Its lock is a channel, because a bubble's clock stands
// still while someone waits for a mutex.
type stalling struct {
	lock  chan struct{}
	taken int
}

func (s *stalling) Write([]sheaf.Entry) (int, error) {
	s.lock <- struct{}{}
	defer func() { <-s.lock }()
	s.taken++
	if s.taken == 1 {
		<-time.After(500 * time.Millisecond)
	}
	<-time.After(time.Millisecond)
	return 0, nil
}

func (s *stalling) PIDs() []int  { return nil }
func (s *stalling) Close() error { return nil }

// TestLatencyCountsFromWhenABatchWasDue: in a closed loop one batch would be slow
// here; those that were due meanwhile waited too.
func TestLatencyCountsFromWhenABatchWasDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		load := contest.NewWorkload(2 * contest.BatchEntries)
		p := newPace(100*contest.BatchEntries, time.Second) // a batch each 10 ms
		c := &stalling{lock: make(chan struct{}, 1)}
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				if err := p.call(t.Context(), load, c, rand.New(rand.NewPCG(1, 1))); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		times := p.take()
		if got := times.TotalCount(); got != 101 { // at 0, 10, ... 1000 ms
			t.Errorf("%d batches were written, want 101", got)
		}
		// Those due within half a second waited for what was left of it.
		if half := times.ValueAtQuantile(75) / 1000; half < 200 || half > 300 {
			t.Errorf("a quarter waited longer than %d ms, want about 250", half)
		}
		if least := times.Min() / 1000; least != 1 {
			t.Errorf("the fastest took %d ms, want 1", least)
		}
		if again := p.take().TotalCount(); again != 0 {
			t.Errorf("the next window begins with %d batches", again)
		}
	})
}
