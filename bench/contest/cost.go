package contest

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Cost is what processes have used since they began, with the children that they
// started to work for them (Redis rewrites its log in one).
type Cost struct {
	CPU time.Duration // user and system
	// WrittenBytes are those that the kernel charges to it; see Device.
	WrittenBytes int64
	// Children are at work.
	Children int
}

// spent is the state of all meters at one time.
type spent struct {
	at              time.Time
	contestant, own Cost
	machine         time.Duration // CPU time of all processes, with what a hypervisor took
	deviceBytes     int64         // written to the disk by all processes
}

// tick is the unit of CPU time in /proc: USER_HZ is 100 on every architecture
// that Go supports.
const tick = 10 * time.Millisecond

func readSpent(pids []int, device Device) (s spent, err error) {
	if s.contestant, err = CostOf(pids...); err != nil {
		return s, err
	}
	if s.own, err = CostOf(os.Getpid()); err != nil {
		return s, err
	}
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return s, err
	}
	if s.machine, err = parseMachineCPU(stat); err != nil {
		return s, err
	}
	s.deviceBytes, _, err = device.Written()
	s.at = time.Now()
	return s, err
}

// CostOf reads the meters of processes and adds them up.
func CostOf(pids ...int) (sum Cost, err error) {
	for _, pid := range pids {
		c, err := costOf(pid)
		if err != nil {
			return sum, err
		}
		sum.CPU += c.CPU
		sum.WrittenBytes += c.WrittenBytes
		sum.Children += c.Children
	}
	return sum, nil
}

// costOf reads those of one. This process's own CPU time has a finer meter than
// /proc; its children are contestants and not counted.
func costOf(pid int) (c Cost, err error) {
	if c, err = costWithoutChildren(pid); err != nil || pid == os.Getpid() {
		return c, err
	}
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		return c, err
	}
	for _, list := range lists {
		text, _ := os.ReadFile(list) // a thread may have ended meanwhile
		for _, field := range strings.Fields(string(text)) {
			child, err := strconv.Atoi(field)
			if err != nil {
				return c, fmt.Errorf("read %s: %w", list, err)
			}
			// One that ended meanwhile is missing from this reading, not the next.
			if used, err := costWithoutChildren(child); err == nil {
				c.CPU += used.CPU
				c.WrittenBytes += used.WrittenBytes
				c.Children++
			}
		}
	}
	return c, nil
}

// costWithoutChildren counts those children that were waited for, and no others.
func costWithoutChildren(pid int) (c Cost, err error) {
	dir := fmt.Sprintf("/proc/%d/", pid)
	io, err := os.ReadFile(dir + "io")
	if err != nil {
		return c, err
	}
	if c.WrittenBytes, err = parseWrittenBytes(io); err != nil {
		return c, err
	}
	if pid == os.Getpid() {
		var usage syscall.Rusage
		err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
		c.CPU = time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
		return c, err
	}
	stat, err := os.ReadFile(dir + "stat")
	if err != nil {
		return c, err
	}
	c.CPU, err = parseProcessCPU(stat)
	return c, err
}

// parseProcessCPU reads fields 14 to 17 of /proc/PID/stat (proc_pid_stat(5)): the
// process's user and system time, and those of the children it waited for.
// Field 2 is the program's name, in parentheses, and may hold anything.
func parseProcessCPU(stat []byte) (time.Duration, error) {
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 15 {
		return 0, fmt.Errorf("unexpected /proc/PID/stat: %q", stat)
	}
	return sumTicks(fields[11:15])
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
