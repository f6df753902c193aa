package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// meters is the state of all meters at one time.
type meters struct {
	at          time.Time
	cpu         time.Duration // user and system time of this process
	machineCPU  time.Duration // of all processes, with what a hypervisor took
	deviceBytes int64         // written to the disk, by everyone
	mallocs     uint64        // objects allocated on the heap
}

func readMeters(d device) (m meters, err error) {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return m, err
	}
	m.cpu = time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return m, err
	}
	if m.machineCPU, err = parseMachineCPU(string(stat)); err != nil {
		return m, err
	}
	if m.deviceBytes, err = d.written(); err != nil {
		return m, err
	}
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	m.mallocs = memory.Mallocs
	m.at = time.Now()
	return m, nil
}

// tick is the unit of CPU time in /proc: USER_HZ is 100 on every architecture
// that Go supports.
const tick = 10 * time.Millisecond

// parseMachineCPU reads the first line of /proc/stat (proc_stat(5)): user, nice,
// system, idle, iowait, irq, softirq, steal. Guests are in user already.
func parseMachineCPU(stat string) (sum time.Duration, err error) {
	line, _, _ := strings.Cut(stat, "\n")
	fields := strings.Fields(line)
	if len(fields) < 9 || fields[0] != "cpu" {
		return 0, fmt.Errorf("unexpected /proc/stat: %q", line)
	}
	for _, field := range append(fields[1:4:4], fields[6:9]...) {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read CPU time: %w", err)
		}
		sum += time.Duration(n) * tick
	}
	return sum, nil
}

// device is the block device of a directory as /proc/diskstats names it, or "" for
// a file system that has none of its own. What the kernel charges to a process
// would leave the others out, but is no measure: with large folios it charges a
// whole one when a page of it changes.
type device string

// sectorBytes is the unit of /proc/diskstats, whatever the device's sectors are.
const sectorBytes = 512

func deviceOf(dir string) (device, error) {
	var stat syscall.Stat_t
	if err := syscall.Stat(dir, &stat); err != nil {
		return "", fmt.Errorf("find the device of %s: %w", dir, err)
	}
	// The encoding of dev_t in the kernel's user interface (makedev(3)).
	major := stat.Dev>>8&0xfff | stat.Dev>>32&^0xfff
	minor := stat.Dev&0xff | stat.Dev>>12&^0xff
	return device(fmt.Sprintf("%d %d", major, uint32(minor))), nil
}

// written returns the bytes written to the device since the machine started, 0 if
// there is none of that number.
func (d device) written() (int64, error) {
	stats, err := os.ReadFile("/proc/diskstats")
	if err != nil {
		return 0, err
	}
	return parseDeviceWritten(string(stats), string(d))
}

// parseDeviceWritten finds a device by its two numbers. Field 10 of its line is
// the number of sectors written (Documentation/admin-guide/iostats.rst).
func parseDeviceWritten(diskstats, numbers string) (int64, error) {
	for line := range strings.Lines(diskstats) {
		fields := strings.Fields(line)
		if len(fields) < 10 || fields[0]+" "+fields[1] != numbers {
			continue
		}
		sectors, err := strconv.ParseInt(fields[9], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read /proc/diskstats: %w", err)
		}
		return sectors * sectorBytes, nil
	}
	return 0, nil
}

// What counts as quiet, and how long to wait for it.
const (
	quietWindow     = 200 * time.Millisecond
	quietCPU        = 2 * time.Millisecond
	settleTimeout   = 10 * time.Second
	settleMaxChecks = int(settleTimeout / quietWindow)
)

// settle waits until a turn's background work (writing spares through, removing
// files) is done, so that the next contestant does not pay for it. It goes by this
// process's CPU time, since the disk is everyone's, and ends after settleTimeout.
func settle(ctx context.Context) error {
	ticker := time.NewTicker(quietWindow)
	defer ticker.Stop()
	var usage syscall.Rusage
	last := time.Duration(-settleTimeout)
	for range settleMaxChecks {
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
			return err
		}
		cpu := time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
		if cpu-last <= quietCPU {
			return nil
		}
		last = cpu
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
	return nil
}
