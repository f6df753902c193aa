package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/sheafdb/sheaf/bench/contest"
)

// On a machine that others use too, -quiet makes a run wait for them and drop what they
// disturbed. What counts is how much they used, never what a turn found.
const (
	quietWindow  = time.Second // that others are watched for
	quietWindows = 5           // so many in a row before a round
	// quietPatience is how long a round is waited with before it is tried anyway.
	quietPatience = 30 * time.Minute
	// quietRepeats is how often the rounds of one table may be run again in all.
	quietRepeats = 40
)

// rounds runs rounds until as many as planned count. A round returns how many cores
// others used in its busiest turn; keep is called if it counts. Without -quiet all do.
func (s *session) rounds(ctx context.Context, all []*running, round func(n int) (others float64, err error), keep func()) error {
	if s.plan.Quiet > 0 {
		return quietRounds(s.plan.Rounds, s.plan.Quiet, func() error { return s.waitForQuiet(ctx, all) }, round, keep)
	}
	for n := range s.plan.Rounds {
		if _, err := round(n); err != nil {
			return err
		}
		keep()
	}
	return nil
}

// quietRounds waits before each round, and runs it again if others used more than this.
func quietRounds(count int, cores float64, wait func() error, round func(n int) (others float64, err error), keep func()) error {
	for n, repeats := 0, 0; n < count; {
		if err := wait(); err != nil {
			return err
		}
		others, err := round(n)
		if err != nil {
			return err
		}
		if others > cores && repeats < quietRepeats {
			repeats++
			fmt.Fprintf(os.Stderr, "others used %.1f cores: round %d is run again\n", others, n+1)
			continue
		}
		keep()
		n++
	}
	return nil
}

// waitForQuiet returns when nobody but the contestants was at work for a while.
func (s *session) waitForQuiet(ctx context.Context, all []*running) error {
	var pids []int
	for _, r := range all {
		pids = append(pids, r.PIDs()...)
	}
	ticker := time.NewTicker(quietWindow)
	defer ticker.Stop()
	deadline := time.Now().Add(quietPatience)
	for quiet := 0; quiet < quietWindows && time.Now().Before(deadline); {
		others, err := contest.WatchOthers(pids)
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
		cores, err := others.Cores()
		if err != nil {
			return err
		}
		if quiet++; cores > s.plan.Quiet/2 {
			quiet = 0
		}
	}
	return nil
}
