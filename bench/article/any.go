package main

import (
	"context"
	"fmt"

	"github.com/sheafdb/sheaf/anybatch"
	"github.com/sheafdb/sheaf/bench/anydecode"
	"github.com/sheafdb/sheaf/bench/measure"
)

const aboutAny = `One encoded message with a list of Anys, of two types in turns, is decoded, and every
message visited. GCs and their pauses are for each list.`

func runAny(ctx context.Context, p plan, done func(*table) error) error {
	slabs, err := anydecode.NewSlabs()
	if err != nil {
		return err
	}
	aliased, err := anydecode.NewSlabs(anybatch.AliasInput)
	if err != nil {
		return err
	}
	const plain = "proto.Unmarshal, UnmarshalNew"
	for _, strings := range []bool{false, true} {
		body, err := anydecode.Input(p.Sizes.Messages, strings)
		if err != nil {
			return err
		}
		title := "%s messages of scalar fields"
		if strings {
			title = "%s messages, every other with three strings"
		}
		t := &table{
			Title:    fmt.Sprintf(title, measure.Thousands(float64(p.Sizes.Messages))),
			Baseline: plain, note: noteAny,
			Columns: []column{
				{"ms a list", 2},
				{"ns a message", 0},
				{"CPU ms", 2},
				{"allocations", 0},
				{"bytes", 0},
				{"GCs", 2},
				{"GC pause µs", 1},
			},
		}
		var contestants []contestant
		for _, c := range []struct {
			name string
			way  anydecode.Way
		}{
			{plain, anydecode.Plain{}},
			{"registry, UnmarshalTo", anydecode.NewRegistered()},
			{"anybatch", slabs},
			{"anybatch, AliasInput", aliased},
		} {
			contestants = append(contestants, contestant{c.name, func() ([]float64, error) {
				return anyTurn(p.Sizes, c.way, body)
			}})
		}
		if err := t.contest(ctx, p.Rounds, contestants); err != nil {
			return err
		}
		if err := done(t); err != nil {
			return err
		}
	}
	return nil
}

func anyTurn(s sizes, way anydecode.Way, body []byte) ([]float64, error) {
	if _, err := way.Decode(body); err != nil { // what grows once has grown
		return nil, err
	}
	used, err := measure.During(func() error {
		for range s.AnyBatches {
			if _, err := way.Decode(body); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	n := float64(s.AnyBatches)
	return []float64{
		used.Wall.Seconds() * 1e3 / n,
		float64(used.Wall.Nanoseconds()) / n / float64(s.Messages),
		used.CPU.Seconds() * 1e3 / n,
		float64(used.Allocations) / n,
		float64(used.Bytes) / n,
		float64(used.GCs) / n,
		float64(used.GCPauseTotal.Microseconds()) / n,
	}, nil
}

func noteAny(t *table) string {
	return fmt.Sprintf("A registry alone is worth %.2f times: what costs is a message built for every Any, twice. "+
		"The article's registry also hands out one shared message for each type, so that every result is the last one; "+
		"each way here has a message for each Any.", t.ratio("registry, UnmarshalTo"))
}
