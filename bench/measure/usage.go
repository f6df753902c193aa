package measure

import (
	"runtime"
	"syscall"
	"time"
)

// Usage is what work cost this process.
type Usage struct {
	Wall, CPU    time.Duration // CPU is user and system time of all threads
	Allocations  uint64
	Bytes        uint64
	GCs          uint32
	GCPauseTotal time.Duration // stop-the-world time of those GCs
}

// During runs work and says what it cost. A garbage collection goes before it, so
// that it does not pay for what others left behind; the two readings of the meters
// stop the world outside of what is timed.
func During(work func() error) (Usage, error) {
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	cpu, err := processCPU()
	if err != nil {
		return Usage{}, err
	}
	begin := time.Now()
	if err := work(); err != nil {
		return Usage{}, err
	}
	u := Usage{Wall: time.Since(begin)}
	used, err := processCPU()
	if err != nil {
		return Usage{}, err
	}
	runtime.ReadMemStats(&after)
	u.CPU = used - cpu
	u.Allocations = after.Mallocs - before.Mallocs
	u.Bytes = after.TotalAlloc - before.TotalAlloc
	u.GCs = after.NumGC - before.NumGC
	u.GCPauseTotal = time.Duration(after.PauseTotalNs - before.PauseTotalNs)
	return u, nil
}

func processCPU() (time.Duration, error) {
	var usage syscall.Rusage
	err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()), err
}
