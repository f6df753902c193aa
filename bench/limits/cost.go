package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// cost is what a process has used since it began.
type cost struct {
	cpu time.Duration // user and system
	// writtenBytes are those that the kernel charges to it; see device.
	writtenBytes int64
}

// spent is the state of all meters at one time.
type spent struct {
	at              time.Time
	contestant, own cost
	machine         time.Duration // CPU time of all processes, with what a hypervisor took
	deviceBytes     int64         // written to the disk by all processes
}

// tick is the unit of CPU time in /proc: USER_HZ is 100 on every architecture
// that Go supports.
const tick = 10 * time.Millisecond

func (r *round) spent() (s spent, err error) {
	if s.contestant, err = costOf(r.contestant.pid()); err != nil {
		return s, err
	}
	if s.own, err = costOf(os.Getpid()); err != nil {
		return s, err
	}
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return s, err
	}
	if s.machine, err = parseMachineCPU(stat); err != nil {
		return s, err
	}
	s.deviceBytes, _, err = r.device.written()
	s.at = time.Now()
	return s, err
}

// costOf reads a process's meters; its own CPU time has a finer one than /proc.
func costOf(pid int) (c cost, err error) {
	dir := fmt.Sprintf("/proc/%d/", pid)
	io, err := os.ReadFile(dir + "io")
	if err != nil {
		return c, err
	}
	if c.writtenBytes, err = parseWrittenBytes(io); err != nil {
		return c, err
	}
	if pid == os.Getpid() {
		var usage syscall.Rusage
		err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
		c.cpu = time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
		return c, err
	}
	stat, err := os.ReadFile(dir + "stat")
	if err != nil {
		return c, err
	}
	c.cpu, err = parseProcessCPU(stat)
	return c, err
}

// parseProcessCPU reads fields 14 and 15 of /proc/PID/stat (proc_pid_stat(5)).
// Field 2 is the program's name, in parentheses, and may hold anything.
func parseProcessCPU(stat []byte) (time.Duration, error) {
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 13 {
		return 0, fmt.Errorf("unexpected /proc/PID/stat: %q", stat)
	}
	return sumTicks(fields[11:13])
}

// parseMachineCPU reads the first line of /proc/stat (proc_stat(5)): user, nice,
// system, idle, iowait, irq, softirq, steal. Guests are in user already.
func parseMachineCPU(stat []byte) (time.Duration, error) {
	line, _, _ := strings.Cut(string(stat), "\n")
	fields := strings.Fields(line)
	if len(fields) < 9 || fields[0] != "cpu" {
		return 0, fmt.Errorf("unexpected /proc/stat: %q", line)
	}
	return sumTicks(append(fields[1:4:4], fields[6:9]...))
}

func sumTicks(fields []string) (sum time.Duration, err error) {
	for _, field := range fields {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read CPU time: %w", err)
		}
		sum += time.Duration(n) * tick
	}
	return sum, nil
}

func parseWrittenBytes(io []byte) (int64, error) {
	for line := range strings.Lines(string(io)) {
		if text, ok := strings.CutPrefix(line, "write_bytes:"); ok {
			return strconv.ParseInt(strings.TrimSpace(text), 10, 64)
		}
	}
	return 0, fmt.Errorf("no write_bytes in /proc/PID/io: %q", io)
}

// What counts as quiet, and how long to wait for it.
const (
	quietWindow     = 300 * time.Millisecond
	quietCPU        = 3 * tick
	quietBytes      = 256 << 10
	settleTimeout   = 15 * time.Second
	settleMaxChecks = int(settleTimeout / quietWindow)
)

// settle waits until the flushes and compactions that a round left behind are
// done, so that the next contestant does not pay for them. One that never comes
// to rest is left at work after settleTimeout.
func settle(ctx context.Context, pid int) error {
	ticker := time.NewTicker(quietWindow)
	defer ticker.Stop()
	last, err := costOf(pid)
	for n := 0; n < settleMaxChecks && err == nil; n++ {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
		var current cost
		if current, err = costOf(pid); err != nil {
			break
		}
		if current.cpu-last.cpu <= quietCPU && current.writtenBytes-last.writtenBytes <= quietBytes {
			return nil
		}
		last = current
	}
	return err
}
