package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sheafdb/sheaf/bench/contest"
	"github.com/sheafdb/sheaf/bench/measure"
)

// batches is the main contest: one table for each number of callers.
type batches struct {
	Tables []table `json:"tables"`
}

// table is the outcome for one number of callers.
type table struct {
	Callers int   `json:"callers"`
	Rows    []row `json:"rows"`
}

// row is the outcome of one contestant.
type row struct {
	Class class `json:"class"`
	contest.Row
	// MemoryRatio and PebbleRatio are the rates of the Sheaf rows of the class
	// (rivals) over this one's, pair by pair; 0 when there is none.
	MemoryRatio float64 `json:"sheaf_memory_ratio,omitempty"`
	PebbleRatio float64 `json:"sheaf_pebble_ratio,omitempty"`
}

func runBatches(ctx context.Context, s *session) (finding, error) {
	s.workload(contest.KeySpace)
	chosen := s.chosen()
	if len(chosen) == 0 {
		return nil, errors.New("none of the contestants is installed")
	}
	p := newProgress("batches", len(s.plan.Callers)*s.plan.Rounds*len(chosen))
	found := &batches{}
	for _, callers := range s.plan.Callers {
		t := table{Callers: callers}
		for _, contestants := range contests(chosen) {
			part, err := s.table(ctx, contestants, callers, p)
			if err != nil {
				return found, fmt.Errorf("%d callers: %w", callers, err)
			}
			t.Rows = append(t.Rows, part.Rows...)
		}
		found.Tables = append(found.Tables, t)
	}
	if s.chart == nil {
		s.chart = barChart(&found.Tables[0])
	}
	return found, nil
}

// contests are the parts of a table that are measured one after the other: servers that
// only wait for their turn cost something too, and clusters are many.
func contests(chosen []entrant) [][]entrant {
	var parts [2][]entrant
	for _, e := range chosen {
		if e.class == threeSynced {
			parts[1] = append(parts[1], e)
		} else {
			parts[0] = append(parts[0], e)
		}
	}
	return slices.DeleteFunc(parts[:], func(part []entrant) bool { return len(part) == 0 })
}

// table runs the rounds. Each contestant keeps its data from round to round:
// after the first it overwrites keys, and meets the flushes and compactions of a
// store in use.
func (s *session) table(ctx context.Context, chosen []entrant, callers int, p *progress) (t table, err error) {
	var all []*running
	defer func() {
		for _, r := range all {
			err = errors.Join(err, r.end())
		}
	}()
	for _, e := range chosen {
		r, err := s.start(ctx, e, fmt.Sprintf("%s-%d", e.name, callers))
		if err != nil {
			return t, err
		}
		all = append(all, r)
	}
	rounds := make([][]contest.Sample, len(all))
	turns := make([]contest.Sample, len(all))
	err = s.rounds(ctx, all, func(n int) (others float64, err error) {
		for i, r := range all {
			if turns[i], err = s.round(ctx, r, s.arena.Load.Uniform, callers, n); err != nil {
				return 0, err
			}
			others = max(others, turns[i].OthersCores)
			p.step("round %d with %d %s, %s: %s keys/s, others used %.1f cores", n+1, callers, contest.Plural(callers, "caller"),
				r.entrant.name, measure.Thousands(turns[i].KeysPerSecond), turns[i].OthersCores)
		}
		return others, nil
	}, func() {
		for i, sample := range turns {
			rounds[i] = append(rounds[i], sample)
		}
	})
	if err != nil {
		return t, err
	}
	t.Callers = callers
	for i, r := range all {
		t.Rows = append(t.Rows, row{Class: r.entrant.class, Row: contest.Summarise(r.entrant.name, rounds[i])})
	}
	t.compare()
	return t, nil
}

// round gives one contestant a turn. What it left to the kernel to write is
// written before the next one's turn.
func (s *session) round(ctx context.Context, r *running, draw contest.Draw, callers, n int) (contest.Sample, error) {
	if err := r.findLeader(ctx); err != nil {
		return contest.Sample{}, err
	}
	turn := contest.Round{
		Contestant: r, Draw: draw, Device: s.arena.Device, Callers: callers,
		WarmUp: s.plan.WarmUp, Timed: s.plan.Timed, Seed: uint64(n), SyncDir: s.dir,
	}
	sample, err := turn.Run(ctx)
	if err != nil {
		err = fmt.Errorf("%s: %w", r.entrant.name, err)
	}
	return sample, err
}

// compare sets the ratios to the Sheaf rows of each row's class.
func (t *table) compare() {
	rounds := func(name string) []contest.Sample {
		at := slices.IndexFunc(t.Rows, func(r row) bool { return r.Contestant == name })
		if at < 0 {
			return nil
		}
		return t.Rows[at].Rounds
	}
	for i := range t.Rows {
		r := &t.Rows[i]
		r.MemoryRatio = contest.Ratio(rounds(rivals[r.Class][0]), r.Rounds)
		r.PebbleRatio = contest.Ratio(rounds(rivals[r.Class][1]), r.Rounds)
	}
}

// markdown is the tables as one prints them.
func (b *batches) markdown() string {
	var out strings.Builder
	for i := range b.Tables {
		if i > 0 {
			out.WriteString("\n")
		}
		b.Tables[i].write(&out)
	}
	return out.String()
}

func (t *table) write(b *strings.Builder) {
	fmt.Fprintf(b, "**%d %s**\n\n", t.Callers, contest.Plural(t.Callers, "caller"))
	b.WriteString("| class | | keys/s | min–max | with drain | Sheaf memory ÷ this | Sheaf pebble ÷ this | p50 ms | p95 ms | p99 ms | CPU µs/key | client CPU µs/key | disk B/key | peak MiB |\n")
	b.WriteString("|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	busiest, retries := 0.0, 0
	for i := range t.Rows {
		r := &t.Rows[i]
		m := &r.Median
		fmt.Fprintf(b, "| %s | %s | %s | %s–%s | %s | %s | %s | %.2f | %.2f | %.2f | %.2f | %s | %s | %s |\n",
			r.Class, r.Contestant, measure.Thousands(m.KeysPerSecond), measure.Thousands(r.MinRate), measure.Thousands(r.MaxRate),
			measure.Thousands(m.DrainedKeysPerSecond), contest.Known(r.MemoryRatio), contest.Known(r.PebbleRatio),
			m.P50MS, m.P95MS, m.P99MS, m.CPUMicrosPerKey, contest.Known(m.ClientCPUPerKey), contest.Whole(m.DeviceBytesPerKey),
			contest.Whole(m.PeakMemoryBytes/(1<<20)))
		busiest = max(busiest, m.OthersCores)
		retries += m.Retries
	}
	fmt.Fprintf(b, "\nOther processes used up to %.1f cores (median over a contestant's rounds).", busiest)
	if retries > 0 {
		fmt.Fprintf(b, " Batches sent again: %d.", retries)
	}
	b.WriteString("\n")
}
