package main

import (
	"runtime"
	"runtime/metrics"
	"syscall"
	"time"
)

// meters is what a process has used since it began.
type meters struct {
	CPU time.Duration `json:"cpu_ns"` // user and system time of all threads
	// Objects are the allocations on the heap without Tiny: those without
	// pointers below 16 bytes, of which several share an object.
	Objects uint64 `json:"objects"`
	Tiny    uint64 `json:"tiny"`
	Bytes   uint64 `json:"bytes"`
}

// readMeters reads those of this process. It stops the world for a moment:
// otherwise what each processor has allocated from its current spans would be
// missing from the counts.
func readMeters() (meters, error) {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return meters{}, err
	}
	var flushed runtime.MemStats
	runtime.ReadMemStats(&flushed)
	samples := []metrics.Sample{
		{Name: "/gc/heap/allocs:objects"},
		{Name: "/gc/heap/tiny/allocs:objects"},
		{Name: "/gc/heap/allocs:bytes"},
	}
	metrics.Read(samples)
	return meters{
		CPU:     time.Duration(usage.Utime.Nano() + usage.Stime.Nano()),
		Objects: samples[0].Value.Uint64(),
		Tiny:    samples[1].Value.Uint64(),
		Bytes:   samples[2].Value.Uint64(),
	}, nil
}

// since is what was used after an earlier reading.
func (m meters) since(before meters) meters {
	return meters{
		CPU: m.CPU - before.CPU, Objects: m.Objects - before.Objects,
		Tiny: m.Tiny - before.Tiny, Bytes: m.Bytes - before.Bytes,
	}
}
