package contest

import (
	"math"
	"testing"
	"time"
)

func TestSummaryHasMediansTheExtremesAndEveryRetry(t *testing.T) {
	r := Summarise("a", []Sample{
		{KeysPerSecond: 10, P99MS: 1, Retries: 1},
		{KeysPerSecond: 30, P99MS: 9},
		{KeysPerSecond: 20, P99MS: 2, Retries: 2},
	})
	if r.Median.KeysPerSecond != 20 || r.MinRate != 10 || r.MaxRate != 30 {
		t.Errorf("rates: %+v", r)
	}
	if r.Median.P99MS != 2 || r.Median.Retries != 3 {
		t.Errorf("p99 is %v and retries %d, want 2 and 3", r.Median.P99MS, r.Median.Retries)
	}
}

// TestSampleDividesByTheKeysOfTheRightPart: the rate by the timed part, the
// price by the whole round.
func TestSampleDividesByTheKeysOfTheRightPart(t *testing.T) {
	began := time.Unix(1000, 0)
	r := Round{Contestant: &direct{}, Timed: 2 * time.Second}
	c := caller{times: NewTimes(), batches: 5, retries: 1}
	for _, micros := range []int64{1000, 2000, 3000, 4000} {
		if err := c.times.RecordValue(micros); err != nil {
			t.Fatal(err)
		}
	}
	used := Cost{CPU: 10 * time.Millisecond, WrittenBytes: 1_000_000}
	s := r.sum([]caller{c}, spent{at: began}, spent{
		at: began.Add(4 * time.Second), contestant: used, own: used,
		machine: 2*time.Second + used.CPU, deviceBytes: 2_000_000,
	}, 2500*time.Millisecond, 1500*time.Millisecond)
	for _, c := range []struct {
		name      string
		got, want float64
	}{
		{"keys/s", s.KeysPerSecond, 2000},
		{"drained keys/s", s.DrainedKeysPerSecond, 1250},
		{"drain ms", s.DrainMS, 1500},
		{"p50", s.P50MS, 2},
		{"CPU µs/key", s.CPUMicrosPerKey, 2},
		{"client CPU µs/key", s.ClientCPUPerKey, 0},
		{"charged B/key", s.ChargedBytesPerKey, 200},
		{"disk B/key", s.DeviceBytesPerKey, 400},
		{"others' cores", s.OthersCores, 0.5},
		{"retries", float64(s.Retries), 1},
	} {
		if math.Abs(c.got-c.want) > 0.01*c.want {
			t.Errorf("%s is %v, want %v", c.name, c.got, c.want)
		}
	}
}
