package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func smallSizes() sizes {
	return sizes{
		BatchEntries: 50, FewKeys: 100, ManyKeys: 300, FewBatches: 4, ManyBatches: 3,
		HTTPTurn: 20 * time.Millisecond, HTTPCalls: 3, Messages: 10, AnyBatches: 2,
		SharedKeys: 200, SharedOps: 2000, CounterOps: 1000,
	}
}

func TestFlagsThatMakeNoSenseAreRefused(t *testing.T) {
	for _, args := range [][]string{{"-only", "redis"}, {"-rounds", "0"}, {"extra"}} {
		if _, err := parse(args); err == nil {
			t.Errorf("%q was accepted", args)
		}
	}
	p, err := parse([]string{"-only", "any,http", "-rounds", "2", "-json", "x"})
	if err != nil || len(p.Only) != 2 || p.Rounds != 2 || p.json != "x" {
		t.Errorf("read %+v, %v", p, err)
	}
}

// TestEveryExperimentFillsItsTables runs all of them, at small sizes.
func TestEveryExperimentFillsItsTables(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	file := filepath.Join(t.TempDir(), "numbers.json")
	var out bytes.Buffer
	if err := run(context.Background(), plan{Rounds: 2, Sizes: smallSizes(), json: file}, &out); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var r report
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Tables) != 11 {
		t.Errorf("there are %d tables, want 11", len(r.Tables))
	}
	for _, table := range r.Tables {
		if !strings.Contains(out.String(), table.Title) {
			t.Errorf("%q is not in the report", table.Title)
		}
		for _, row := range table.Rows {
			if len(row.Rounds) != 2 || len(row.Median) != len(table.Columns) || row.Median[0] <= 0 {
				t.Errorf("%q: row %q has %d rounds and medians %v", table.Title, row.Name, len(row.Rounds), row.Median)
			}
		}
	}
	if left, err := os.ReadDir(os.Getenv("TMPDIR")); err != nil || len(left) > 0 {
		t.Errorf("%d files are left behind, %v", len(left), err)
	}
}

func TestOnlyRunsWhatItNames(t *testing.T) {
	var out bytes.Buffer
	if err := run(context.Background(), plan{Rounds: 1, Only: []string{"any"}, Sizes: smallSizes()}, &out); err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(out.String(), "\n## "); got != 1 {
		t.Errorf("%d experiments ran", got)
	}
}

func TestContestantsTakeTurns(t *testing.T) {
	var order []string
	named := func(name string, values ...float64) contestant {
		return contestant{name, func() ([]float64, error) {
			order = append(order, name)
			value := values[0]
			values = values[1:]
			return []float64{value}, nil
		}}
	}
	// The machine was three times slower in the second round, for both.
	table := table{Columns: []column{{"ms", 1}}, Baseline: "a"}
	if err := table.contest(context.Background(), 3, []contestant{named("a", 4, 12, 5), named("b", 2, 6, 1)}); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(order, ""); got != "ababab" {
		t.Errorf("the order was %s", got)
	}
	if a, b := table.row("a"), table.row("b"); a.Ratio != 1 || b.Ratio != 2 || a.Median[0] != 5 || b.Median[0] != 2 {
		t.Errorf("a: %+v, b: %+v", a, b)
	}
	if table.row("c") != nil || table.ratio("c") != 0 {
		t.Error("found a row that is not there")
	}
}

func TestContestEndsWithTheSignalOrTheFirstError(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	turns := 0
	stopping := contestant{"a", func() ([]float64, error) { turns++; cancel(); return []float64{1}, nil }}
	if err := new(table).contest(ctx, 9, []contestant{stopping}); !errors.Is(err, context.Canceled) || turns != 1 {
		t.Errorf("%d turns, %v", turns, err)
	}
	broken := errors.New("broken")
	failing := contestant{"b", func() ([]float64, error) { return nil, broken }}
	if err := new(table).contest(context.Background(), 9, []contestant{failing}); !errors.Is(err, broken) || !strings.Contains(err.Error(), "b:") {
		t.Error(err)
	}
}

func TestTableIsMarkdown(t *testing.T) {
	table := table{
		Title: "10,000 entries", Baseline: "a", Columns: []column{{"ms", 2}, {"allocations", 0}},
		Rows: []row{{Name: "a", Rounds: [][]float64{{3, 1_234_567}}}, {Name: "b", Rounds: [][]float64{{2, 0}}}},
		note: func(t *table) string { return fmt.Sprintf("b: %.1f", t.ratio("b")) },
	}
	table.reduce()
	want := strings.TrimLeft(`
**10,000 entries**

| | ms | allocations | times faster |
|---|--:|--:|--:|
| a | 3.00 | 1,234,567 | 1.00 |
| b | 2.00 | 0 | 1.50 |

b: 1.5
`, "\n")
	if got := table.markdown(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
