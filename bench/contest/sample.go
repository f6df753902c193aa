package contest

import (
	"github.com/sheafdb/sheaf/bench/measure"
)

// Sample is what one round found. Rate and latencies are of the batches that
// ended in the timed part. CPU and bytes are of the whole round, with its warm-up
// and the background work it left behind, over all its keys: work that is put
// off is work.
type Sample struct {
	KeysPerSecond        float64 `json:"keys_per_second"`
	DrainedKeysPerSecond float64 `json:"drained_keys_per_second"` // all keys, over the time until the work they left behind was done
	DrainMS              float64 `json:"drain_ms"`
	P50MS                float64 `json:"p50_ms"`
	P95MS                float64 `json:"p95_ms"`
	P99MS                float64 `json:"p99_ms"`
	CPUMicrosPerKey      float64 `json:"cpu_us_per_key"`
	ClientCPUPerKey      float64 `json:"client_cpu_us_per_key"` // 0 when the contestant is in this process
	ChargedBytesPerKey   float64 `json:"charged_bytes_per_key"` // what the kernel charged to the process
	DeviceBytesPerKey    float64 `json:"device_bytes_per_key"`  // what the disk got, from everyone; 0 when unknown
	PeakMemoryBytes      float64 `json:"peak_memory_bytes"`     // since it was started; 0 when the contestant is in this process
	OthersCores          float64 `json:"others_cores"`          // cores that neither side of the contest used
	Retries              int     `json:"retries"`
}

// Row is the outcome of one contestant. Each field of Median is a median of its
// own: they need not come from the same round.
type Row struct {
	Contestant string   `json:"contestant"`
	Median     Sample   `json:"median"`
	MinRate    float64  `json:"min_keys_per_second"`
	MaxRate    float64  `json:"max_keys_per_second"`
	Rounds     []Sample `json:"rounds"`
}

// medians lists the fields that a row has the median of.
var medians = []func(*Sample) *float64{
	func(s *Sample) *float64 { return &s.KeysPerSecond },
	func(s *Sample) *float64 { return &s.DrainedKeysPerSecond },
	func(s *Sample) *float64 { return &s.DrainMS },
	func(s *Sample) *float64 { return &s.P50MS },
	func(s *Sample) *float64 { return &s.P95MS },
	func(s *Sample) *float64 { return &s.P99MS },
	func(s *Sample) *float64 { return &s.CPUMicrosPerKey },
	func(s *Sample) *float64 { return &s.ClientCPUPerKey },
	func(s *Sample) *float64 { return &s.ChargedBytesPerKey },
	func(s *Sample) *float64 { return &s.DeviceBytesPerKey },
	func(s *Sample) *float64 { return &s.OthersCores },
}

// Summarise reduces the rounds of one contestant, of which there is at least one.
func Summarise(name string, rounds []Sample) Row {
	r := Row{Contestant: name, Rounds: rounds}
	for _, field := range medians {
		values := make([]float64, len(rounds))
		for i := range rounds {
			values[i] = *field(&rounds[i])
		}
		*field(&r.Median) = measure.Median(values)
	}
	r.MinRate, r.MaxRate = rounds[0].KeysPerSecond, rounds[0].KeysPerSecond
	for i := range rounds {
		r.MinRate = min(r.MinRate, rounds[i].KeysPerSecond)
		r.MaxRate = max(r.MaxRate, rounds[i].KeysPerSecond)
		r.Median.Retries += rounds[i].Retries // a sum: one retry in any round is worth seeing
		r.Median.PeakMemoryBytes = max(r.Median.PeakMemoryBytes, rounds[i].PeakMemoryBytes)
	}
	return r
}

// Ratio is the rate of one contestant over that of another: the median over the
// rounds, because the two of one round met the same machine. It is 0 when there
// is nothing to compare.
func Ratio(of, to []Sample) float64 {
	var ratios []float64
	for n := range min(len(of), len(to)) {
		if to[n].KeysPerSecond > 0 {
			ratios = append(ratios, of[n].KeysPerSecond/to[n].KeysPerSecond)
		}
	}
	return measure.Median(ratios)
}
