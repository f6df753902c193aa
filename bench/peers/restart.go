package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/bench/contest"
	"github.com/sheafdb/sheaf/bench/measure"
)

// restartFound tells how long a store is away after a crash.
type restartFound struct {
	Keys int          `json:"keys"`
	Rows []restartRow `json:"rows"`
}

type restartRow struct {
	Contestant string    `json:"contestant"`
	Seconds    []float64 `json:"seconds"` // one for each restart
	Median     float64   `json:"median_seconds"`
}

// reader is a contestant that can be asked for a key.
type reader interface {
	contest.Contestant
	Get(ctx context.Context, key []byte) ([]byte, error)
}

// restarting says how to start a server on data that it left behind.
type restarting struct {
	name    string
	restart func(ctx context.Context, s *session, dir string) (reader, error)
}

const (
	restartTimeout = 10 * time.Minute
	// restartPoll is how often a server that is not ready is asked.
	restartPoll = 2 * time.Millisecond
	maxRestarts = 3
)

func restartSheaf(store string) func(context.Context, *session, string) (reader, error) {
	return func(ctx context.Context, s *session, dir string) (reader, error) {
		return contest.ServeSheaf(ctx, &s.arena, dir, store, sheaf.Linearizable, restartTimeout)
	}
}

// restarts has Redis with the log that loses nothing, and its defaults for when
// that is rewritten.
var restarts = []restarting{
	{"sheaf-memory", restartSheaf("memory")},
	{"sheaf-pebble", restartSheaf("pebble")},
	{"redis-always", func(ctx context.Context, _ *session, dir string) (reader, error) {
		return serveRedis(ctx, dir, "--appendonly", "yes", "--appendfsync", "always")
	}},
}

func runRestart(ctx context.Context, s *session) (finding, error) {
	s.workload(s.plan.Keys)
	var chosen []restarting
	for _, r := range restarts {
		if len(s.chosenOf(r.name)) > 0 {
			chosen = append(chosen, r)
		}
	}
	times := min(s.plan.Rounds, maxRestarts)
	p := newProgress("restart", len(chosen)*times)
	found := &restartFound{Keys: s.plan.Keys}
	for _, r := range chosen {
		row := restartRow{Contestant: r.name}
		for n := range times {
			took, err := s.measureRestart(ctx, r, n)
			if err != nil {
				return found, fmt.Errorf("%s: %w", r.name, err)
			}
			row.Seconds = append(row.Seconds, took.Seconds())
			p.step("%s answered after %.2f s", r.name, took.Seconds())
		}
		row.Median = measure.Median(row.Seconds)
		found.Rows = append(found.Rows, row)
	}
	return found, nil
}

// measureRestart loads fresh data, kills the server as soon as the last batch is
// acknowledged, and starts it again. The last key must be there.
func (s *session) measureRestart(ctx context.Context, how restarting, n int) (took time.Duration, err error) {
	r, err := s.start(ctx, entrantNamed(how.name), fmt.Sprintf("%s-restart-%d", how.name, n))
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(r.dir)) }()
	if _, err = s.load(ctx, r, s.plan.Keys); err != nil {
		return 0, errors.Join(err, r.Close())
	}
	if err := r.Close(); err != nil { // with SIGKILL
		return 0, err
	}
	began := time.Now()
	again, err := how.restart(ctx, s, r.dir)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, again.Close()) }()
	for deadline := began.Add(restartTimeout); ; {
		value, err := again.Get(ctx, s.arena.Load.Key(s.plan.Keys-1))
		switch {
		case err == nil && len(value) == contest.ValueBytes:
			return time.Since(began), nil
		case err == nil:
			return 0, fmt.Errorf("an acknowledged value came back with %d bytes", len(value))
		case time.Now().After(deadline):
			return 0, fmt.Errorf("no answer after %v: %w", restartTimeout, err)
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(restartPoll):
		}
	}
}

func (f *restartFound) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s keys.\n\n| | seconds, median | each |\n|---|--:|---|\n", measure.Thousands(float64(f.Keys)))
	for _, r := range f.Rows {
		each := make([]string, len(r.Seconds))
		for i, seconds := range r.Seconds {
			each[i] = fmt.Sprintf("%.2f", seconds)
		}
		fmt.Fprintf(&b, "| %s | %.2f | %s |\n", r.Contestant, r.Median, strings.Join(each, ", "))
	}
	return b.String()
}
