package main

import (
	"encoding/json"
	"os"
	"slices"

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

// row is the outcome of one contestant. Each field of Median is a median of its
// own: they need not come from the same round.
type row struct {
	Contestant string  `json:"contestant"`
	Median     sample  `json:"median"`
	MinRate    float64 `json:"min_keys_per_second"`
	MaxRate    float64 `json:"max_keys_per_second"`
	// Ratio is the rate over the baseline's: the median over the rounds, because
	// the two of one round met the same machine. 0 when there is no baseline.
	Ratio  float64  `json:"ratio,omitempty"`
	Rounds []sample `json:"rounds"`
}

// summarise reduces the rounds of one contestant, of which there is at least one.
func summarise(name string, rounds []sample) row {
	of := func(field func(*sample) float64) float64 {
		values := make([]float64, len(rounds))
		for i := range rounds {
			values[i] = field(&rounds[i])
		}
		return measure.Median(values)
	}
	rate := func(s *sample) float64 { return s.KeysPerSecond }
	r := row{Contestant: name, Rounds: rounds, Median: sample{
		KeysPerSecond:      of(rate),
		P50MS:              of(func(s *sample) float64 { return s.P50MS }),
		P95MS:              of(func(s *sample) float64 { return s.P95MS }),
		P99MS:              of(func(s *sample) float64 { return s.P99MS }),
		CPUMicrosPerKey:    of(func(s *sample) float64 { return s.CPUMicrosPerKey }),
		ClientCPUPerKey:    of(func(s *sample) float64 { return s.ClientCPUPerKey }),
		ChargedBytesPerKey: of(func(s *sample) float64 { return s.ChargedBytesPerKey }),
		DeviceBytesPerKey:  of(func(s *sample) float64 { return s.DeviceBytesPerKey }),
		OthersCores:        of(func(s *sample) float64 { return s.OthersCores }),
	}}
	r.MinRate, r.MaxRate = rounds[0].KeysPerSecond, rounds[0].KeysPerSecond
	for i := range rounds {
		r.MinRate = min(r.MinRate, rounds[i].KeysPerSecond)
		r.MaxRate = max(r.MaxRate, rounds[i].KeysPerSecond)
		r.Median.Retries += rounds[i].Retries // a sum: one retry in any round is worth seeing
	}
	return r
}

// compare sets the ratios to the contestant of that name, if it took part.
func (t *table) compare(name string) {
	at := slices.IndexFunc(t.Rows, func(r row) bool { return r.Contestant == name })
	if at < 0 {
		return
	}
	base := t.Rows[at].Rounds
	for i := range t.Rows {
		var ratios []float64
		for n, s := range t.Rows[i].Rounds {
			if n < len(base) && base[n].KeysPerSecond > 0 {
				ratios = append(ratios, s.KeysPerSecond/base[n].KeysPerSecond)
			}
		}
		t.Rows[i].Ratio = measure.Median(ratios)
	}
}

func (r *report) write(file string) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(data, '\n'), 0o644)
}
