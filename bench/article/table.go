package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/sheafdb/sheaf/bench/measure"
)

// report is what -json writes.
type report struct {
	Machine measure.Machine `json:"machine"`
	Plan    plan            `json:"plan"`
	Tables  []*table        `json:"tables"`
}

func (r *report) write(file string) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(data, '\n'), 0o644)
}

// table compares rows. Of its first column less is better.
type table struct {
	Title   string   `json:"title"`
	Columns []column `json:"columns"`
	Rows    []row    `json:"rows"`
	// Baseline is the row that the ratios refer to: how many times faster a row is.
	Baseline string `json:"baseline"`
	// note is the text below, which may depend on the numbers.
	note func(*table) string
}

// column is one number of a row.
type column struct {
	Name     string `json:"name"`
	decimals int
}

// row is the outcome of one contestant. Each of Median is a median of its own.
type row struct {
	Name   string      `json:"name"`
	Ratio  float64     `json:"ratio"` // median of the rounds' ratios; 0 without a baseline
	Median []float64   `json:"median"`
	Rounds [][]float64 `json:"rounds"`
}

// contestant takes a turn and returns its numbers, one for each column.
type contestant struct {
	name string
	turn func() ([]float64, error)
}

// contest gives every contestant its turn, round by round.
func (t *table) contest(ctx context.Context, rounds int, contestants []contestant) error {
	t.Rows = make([]row, len(contestants))
	for range rounds {
		for i, c := range contestants {
			if err := ctx.Err(); err != nil {
				return err
			}
			numbers, err := c.turn()
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			t.Rows[i].Name = c.name
			t.Rows[i].Rounds = append(t.Rows[i].Rounds, numbers)
		}
	}
	t.reduce()
	return nil
}

// reduce fills in medians and ratios.
func (t *table) reduce() {
	base := t.row(t.Baseline)
	for i := range t.Rows {
		r := &t.Rows[i]
		r.Median = make([]float64, len(t.Columns))
		for c := range t.Columns {
			values := make([]float64, len(r.Rounds))
			for n := range r.Rounds {
				values[n] = r.Rounds[n][c]
			}
			r.Median[c] = measure.Median(values)
		}
		if base == nil {
			continue
		}
		var ratios []float64
		for n := range r.Rounds {
			if r.Rounds[n][0] > 0 {
				ratios = append(ratios, base.Rounds[n][0]/r.Rounds[n][0])
			}
		}
		r.Ratio = measure.Median(ratios)
	}
}

// row returns the row of that name, or nil.
func (t *table) row(name string) *row {
	i := slices.IndexFunc(t.Rows, func(r row) bool { return r.Name == name })
	if i < 0 {
		return nil
	}
	return &t.Rows[i]
}

// ratio is how many times faster than the baseline a row is; 0 when it is not there.
func (t *table) ratio(name string) float64 {
	if r := t.row(name); r != nil {
		return r.Ratio
	}
	return 0
}

func (t *table) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "**%s**\n\n| |", t.Title)
	for _, c := range t.Columns {
		fmt.Fprintf(&b, " %s |", c.Name)
	}
	if t.Baseline != "" {
		b.WriteString(" times faster |")
	}
	b.WriteString("\n|---|" + strings.Repeat("--:|", len(t.Columns)))
	if t.Baseline != "" {
		b.WriteString("--:|")
	}
	b.WriteString("\n")
	for i := range t.Rows {
		r := &t.Rows[i]
		fmt.Fprintf(&b, "| %s |", r.Name)
		for c, x := range r.Median {
			fmt.Fprintf(&b, " %s |", number(x, t.Columns[c].decimals))
		}
		if t.Baseline != "" {
			fmt.Fprintf(&b, " %.2f |", r.Ratio)
		}
		b.WriteString("\n")
	}
	if t.note != nil {
		fmt.Fprintf(&b, "\n%s\n", t.note(t))
	}
	return b.String()
}

func number(x float64, decimals int) string {
	if decimals == 0 {
		return measure.Thousands(x)
	}
	return fmt.Sprintf("%.*f", decimals, x)
}
