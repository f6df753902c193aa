package main

import (
	"encoding/json"
	"os"
	"slices"

	"github.com/sheafdb/sheaf/bench/contest"
	"github.com/sheafdb/sheaf/bench/measure"
)

// report is what -json writes.
type report struct {
	Machine      measure.Machine `json:"machine"`
	Plan         plan            `json:"plan"`
	BatchEntries int             `json:"batch_entries"`
	KeyBytes     int             `json:"key_bytes"`
	ValueBytes   int             `json:"value_bytes"`
	Keys         int             `json:"keys"`
	Tables       []table         `json:"tables"`
}

// table is the outcome for one number of callers.
type table struct {
	Callers int   `json:"callers"`
	Rows    []row `json:"rows"`
}

// row is the outcome of one contestant.
type row struct {
	contest.Row
	// Ratio is the rate over the baseline's, 0 when there is none.
	Ratio float64 `json:"ratio,omitempty"`
}

// compare sets the ratios to the contestant of that name, if it took part.
func (t *table) compare(name string) {
	at := slices.IndexFunc(t.Rows, func(r row) bool { return r.Contestant == name })
	if at < 0 {
		return
	}
	for i := range t.Rows {
		t.Rows[i].Ratio = contest.Ratio(t.Rows[i].Rounds, t.Rows[at].Rounds)
	}
}

func (r *report) write(file string) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(data, '\n'), 0o644)
}
