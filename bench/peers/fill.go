package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/sheafdb/sheaf/bench/contest"
	"github.com/sheafdb/sheaf/bench/measure"
)

// fillSmallKeys is the small store that the large one is compared with.
const fillSmallKeys = 100_000

// fillFound tells what a store's size does to its rate.
type fillFound struct {
	SmallKeys int       `json:"small_keys"`
	LargeKeys int       `json:"large_keys"`
	Rows      []fillRow `json:"rows"`
}

type fillRow struct {
	Contestant string      `json:"contestant"`
	LoadRate   float64     `json:"load_keys_per_second"` // into the large store, drain counted in
	Small      contest.Row `json:"small"`
	Large      contest.Row `json:"large"`
	Ratio      float64     `json:"ratio"` // large over small, pair by pair
}

// runFill takes one contestant after the other, with both its stores at once.
// Batches overwrite keys drawn from all that the store holds: new keys would make
// the small store large within a second.
func runFill(ctx context.Context, s *session) (finding, error) {
	s.workload(s.plan.FillKeys)
	chosen := s.chosenOf("sheaf-memory", "sheaf-pebble", "redis-always")
	p := newProgress("fill", len(chosen)*(1+s.plan.Rounds))
	found := &fillFound{SmallKeys: fillSmallKeys, LargeKeys: s.plan.FillKeys}
	for _, e := range chosen {
		row, err := s.measureFill(ctx, e, p)
		if err != nil {
			return found, err
		}
		found.Rows = append(found.Rows, row)
	}
	return found, nil
}

func (s *session) measureFill(ctx context.Context, e entrant, p *progress) (row fillRow, err error) {
	row.Contestant = e.name
	large, rate, err := s.startLoaded(ctx, e, s.plan.FillKeys)
	if err != nil {
		return row, err
	}
	defer func() { err = joinEnd(err, large) }()
	row.LoadRate = rate
	small, _, err := s.startLoaded(ctx, entrant{name: e.name + "-small", class: e.class, start: e.start}, fillSmallKeys)
	if err != nil {
		return row, err
	}
	defer func() { err = joinEnd(err, small) }()
	p.step("%s is loaded, %s keys/s", e.name, measure.Thousands(rate))
	few := s.arena.Load.First(fillSmallKeys)
	var ofSmall, ofLarge []contest.Sample
	for n := range s.plan.Rounds {
		one, err := s.round(ctx, small, few.Uniform, s.plan.Callers[0], n)
		if err != nil {
			return row, err
		}
		other, err := s.round(ctx, large, s.arena.Load.Uniform, s.plan.Callers[0], n)
		if err != nil {
			return row, err
		}
		ofSmall, ofLarge = append(ofSmall, one), append(ofLarge, other)
		p.step("round %d, %s: %s keys/s small, %s large", n+1, e.name, measure.Thousands(one.KeysPerSecond), measure.Thousands(other.KeysPerSecond))
	}
	row.Small, row.Large = contest.Summarise(e.name, ofSmall), contest.Summarise(e.name, ofLarge)
	row.Ratio = contest.Ratio(ofLarge, ofSmall)
	return row, nil
}

func (f *fillFound) markdown() string {
	var b strings.Builder
	small, large := measure.Thousands(float64(f.SmallKeys)), measure.Thousands(float64(f.LargeKeys))
	fmt.Fprintf(&b, "| | loading %s, keys/s | over %s keys, keys/s | with drain | over %s keys, keys/s | with drain | large ÷ small |\n|---|--:|--:|--:|--:|--:|--:|\n", large, small, large)
	for i := range f.Rows {
		r := &f.Rows[i]
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %.2f |\n", r.Contestant, measure.Thousands(r.LoadRate),
			measure.Thousands(r.Small.Median.KeysPerSecond), measure.Thousands(r.Small.Median.DrainedKeysPerSecond),
			measure.Thousands(r.Large.Median.KeysPerSecond), measure.Thousands(r.Large.Median.DrainedKeysPerSecond), r.Ratio)
	}
	return b.String()
}
