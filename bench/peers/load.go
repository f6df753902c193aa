package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/bench/contest"
)

// drainTimeout bounds how long a contestant may work on what a load left behind.
const drainTimeout = 3 * time.Minute

// load writes the first keys of the workload once each, with as many callers as
// batches are measured with, and returns how long that took.
func (s *session) load(ctx context.Context, r *running, keys int) (time.Duration, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	began := time.Now()
	var next atomic.Int64
	var wg sync.WaitGroup
	for i := range s.plan.Callers[0] {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(5, uint64(i)))
			entries := make([]sheaf.Entry, contest.BatchEntries)
			for ctx.Err() == nil {
				first := int(next.Add(contest.BatchEntries)) - contest.BatchEntries
				if first >= keys {
					return
				}
				s.arena.Load.From(first, entries, rng)
				if _, err := r.Write(entries); err != nil {
					cancel(fmt.Errorf("load %s: %w", r.entrant.name, err))
				}
			}
		})
	}
	wg.Wait()
	return time.Since(began), context.Cause(ctx)
}

// startLoaded starts an entrant, loads it, and waits until it has come to rest.
// The rate is that of the load with the wait counted in.
func (s *session) startLoaded(ctx context.Context, e entrant, keys int) (r *running, keysPerSecond float64, err error) {
	if r, err = s.start(ctx, e, fmt.Sprintf("%s-%d-keys", e.name, keys)); err != nil {
		return nil, 0, err
	}
	took, err := s.load(ctx, r, keys)
	if err == nil {
		var drain time.Duration
		drain, err = contest.Settle(ctx, r.PIDs(), drainTimeout)
		keysPerSecond = float64(keys) / (took + drain).Seconds()
	}
	if err == nil {
		err = contest.Sync(s.dir)
	}
	if err != nil {
		return nil, 0, errors.Join(err, r.end())
	}
	return r, keysPerSecond, nil
}

// workload makes the keys if the last scenario left fewer, or many more.
func (s *session) workload(keys int) {
	if s.arena.Load == nil || s.arena.Load.Keys() != keys {
		s.arena.Load = contest.NewWorkload(keys)
	}
}
