package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/sheafdb/sheaf/bench/contest"
)

// readsKeys is how many keys there are to read: few enough that all are in memory
// wherever a contestant keeps what it reads often.
const readsKeys = 100_000

// readsCallers are the numbers of callers that are measured.
var readsCallers = []int{1, 8}

// readsPairs are one server and the cluster that is compared with it.
var readsPairs = [][2]string{{"sheaf-memory", "sheaf-memory-3"}, {"sheaf-pebble", "sheaf-pebble-3"}}

// runReads takes pair after pair, and both of a pair in turns.
func runReads(ctx context.Context, s *session) (finding, error) {
	s.workload(contest.KeySpace)
	var pairs [][]entrant
	for _, names := range readsPairs {
		if pair := s.chosenOf(names[:]...); len(pair) == 2 {
			pairs = append(pairs, pair)
		}
	}
	if len(pairs) == 0 {
		return nil, fmt.Errorf("reads compares pairs: name both of one with -only, such as %s,%s", readsPairs[0][0], readsPairs[0][1])
	}
	found := &readsFound{Keys: readsKeys}
	p := newProgress("reads", len(pairs)*len(readsCallers)*s.plan.Rounds*2)
	for _, pair := range pairs {
		rows, err := s.measureReads(ctx, pair, p)
		if err != nil {
			return found, err
		}
		found.Rows = append(found.Rows, rows...)
	}
	return found, nil
}

func (s *session) measureReads(ctx context.Context, pair []entrant, p *progress) (rows []readsRow, err error) {
	var both []*running
	defer func() {
		for _, r := range both {
			err = joinEnd(err, r)
		}
	}()
	for _, e := range pair {
		r, _, err := s.startLoaded(ctx, e, readsKeys)
		if err != nil {
			return nil, err
		}
		both = append(both, r)
	}
	for _, callers := range readsCallers {
		var rounds [2][]readsSample
		var turns [2]readsSample
		if err := s.rounds(ctx, both, func(n int) (others float64, err error) {
			for i, r := range both {
				if turns[i], err = s.readsTurn(ctx, r, callers, n); err != nil {
					return 0, fmt.Errorf("read from %s: %w", r.entrant.name, err)
				}
				others = max(others, turns[i].OthersCores)
				p.step("round %d with %d %s, %s: p50 %.3f ms, p99 %.3f ms, others used %.1f cores", n+1, callers, contest.Plural(callers, "caller"),
					r.entrant.name, turns[i].P50MS, turns[i].P99MS, turns[i].OthersCores)
			}
			return others, nil
		}, func() {
			for i, sample := range turns {
				rounds[i] = append(rounds[i], sample)
			}
		}); err != nil {
			return nil, err
		}
		for i, r := range both {
			row := summariseReads(r.entrant.name, callers, rounds[i])
			if i > 0 {
				row.Ratio = readsRatio(rounds[i], rounds[0])
			}
			rows = append(rows, row)
		}
	}
	return rows, nil
}

// readsTurn has callers read keys, one after the other, until the timed part is over.
func (s *session) readsTurn(ctx context.Context, r *running, callers, n int) (readsSample, error) {
	if err := r.findLeader(ctx); err != nil {
		return readsSample{}, err
	}
	from, ok := r.Contestant.(reader)
	if !ok {
		return readsSample{}, errors.New("it cannot be asked for a key")
	}
	others, err := contest.WatchOthers(r.PIDs())
	if err != nil {
		return readsSample{}, err
	}
	ctx, cancel := context.WithCancelCause(ctx) // the first error ends the turn
	defer cancel(nil)
	timed := time.Now().Add(s.plan.WarmUp)
	times := make([]*hdrhistogram.Histogram, callers)
	var wg sync.WaitGroup
	for i := range callers {
		times[i] = contest.NewTimes()
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(n), uint64(i)))
			if err := s.read(ctx, from, rng, timed, times[i]); err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	all := contest.NewTimes()
	for _, t := range times {
		all.Merge(t)
	}
	if err := context.Cause(ctx); err != nil {
		return readsSample{}, err
	}
	cores, err := others.Cores()
	return readsSample{
		ReadsPerSecond: float64(all.TotalCount()) / s.plan.Timed.Seconds(),
		P50MS:          float64(all.ValueAtQuantile(50)) / 1000,
		P99MS:          float64(all.ValueAtQuantile(99)) / 1000,
		OthersCores:    cores,
	}, err
}

func (s *session) read(ctx context.Context, from reader, rng *rand.Rand, timed time.Time, times *hdrhistogram.Histogram) error {
	for ctx.Err() == nil {
		key := s.arena.Load.Key(rng.IntN(readsKeys))
		begin := time.Now()
		value, err := from.Get(ctx, key)
		end := time.Now()
		switch {
		case err != nil:
			return err
		case len(value) != contest.ValueBytes:
			return fmt.Errorf("the value of %s came back with %d bytes", key, len(value))
		case end.Sub(timed) > s.plan.Timed:
			return nil
		case end.After(timed):
			_ = times.RecordValue(min(max(end.Sub(begin).Microseconds(), 1), contest.MaxBatchMicros))
		}
	}
	return nil
}
