package main

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"
)

const (
	maxBatchBytes = 16 << 20
	// A round appends at most roundBytes, so that five rounds of large batches
	// are more than 1 GiB and pass through twenty segments, and at most
	// roundAppends, so that small ones end too.
	roundBytes   = 256 << 20
	roundAppends = 4_000
	// quickPart of a round is what -quick runs.
	quickPart = 8
	// warmUpBytes, in large batches, take a log to where it has been cut and has
	// segments to use again.
	warmUpBytes      = 2 * cutEveryBytes
	warmUpBatchBytes = 1_000_000
)

func appendsOf(batchBytes int, quick bool) int {
	n := max(1, min(roundBytes/batchBytes, roundAppends))
	if quick {
		n = max(1, n/quickPart)
	}
	return n
}

// workload is noise that batches are cut from: what compresses would flatter a
// disk that compresses. Nothing in it changes.
type workload struct {
	noise []byte
	bytes int
}

func newWorkload(batchBytes int) *workload {
	w := &workload{noise: make([]byte, max(batchBytes, warmUpBatchBytes)+1<<20), bytes: batchBytes}
	rng := rand.NewChaCha8([32]byte{1})
	_, _ = rng.Read(w.noise) // never fails
	return w
}

func (w *workload) batch(n, bytes int) []byte {
	at := n * 4099 % (len(w.noise) - bytes + 1)
	return w.noise[at : at+bytes]
}

// runner drives one contestant, which it owns.
type runner struct {
	log  contestant
	dir  string
	disk device
	load *workload

	appended int // batches so far
	uncut    int // bytes since the last cut
	took     []time.Duration
}

// append appends a batch and cuts when it is time.
func (r *runner) append(bytes int) (time.Duration, error) {
	batch := r.load.batch(r.appended, bytes)
	r.appended++
	begin := time.Now()
	err := r.log.append(batch)
	took := time.Since(begin)
	if r.uncut += bytes; err == nil && r.uncut >= cutEveryBytes {
		r.uncut = 0
		err = r.log.cut()
	}
	return took, err
}

func (r *runner) warmUp(ctx context.Context) error {
	for range warmUpBytes / warmUpBatchBytes {
		if err := ctx.Err(); err != nil {
			return err
		}
		if _, err := r.append(warmUpBatchBytes); err != nil {
			return err
		}
	}
	return settle(ctx)
}

// round is one turn. Latencies are of the appends alone, the rate is of the whole
// turn with its cuts; CPU and bytes include the background work it left behind,
// since work that is put off is work.
func (r *runner) round(ctx context.Context, appends int) (s sample, err error) {
	r.took = slices.Grow(r.took[:0], appends)
	before, err := readMeters(r.disk)
	if err != nil {
		return s, err
	}
	for range appends {
		if err := ctx.Err(); err != nil {
			return s, err
		}
		took, err := r.append(r.load.bytes)
		if err != nil {
			return s, err
		}
		r.took = append(r.took, took)
	}
	ended, err := readMeters(r.disk)
	if err != nil {
		return s, err
	}
	if err := settle(ctx); err != nil {
		return s, err
	}
	after, err := readMeters(r.disk)
	if err != nil {
		return s, err
	}
	slices.Sort(r.took)
	payload := float64(appends) * float64(r.load.bytes)
	cpu := after.cpu - before.cpu
	return sample{
		P50Micros:     micros(r.took[len(r.took)/2]),
		P95Micros:     micros(r.took[len(r.took)*95/100]),
		MBPerSecond:   payload / 1e6 / ended.at.Sub(before.at).Seconds(),
		CPUMicros:     micros(cpu) / float64(appends),
		Allocations:   float64(ended.mallocs-before.mallocs) / float64(appends),
		DevicePerByte: float64(after.deviceBytes-before.deviceBytes) / payload,
		OthersCores:   max(0, (after.machineCPU-before.machineCPU-cpu).Seconds()/after.at.Sub(before.at).Seconds()),
	}, nil
}

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }
