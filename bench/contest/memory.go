package contest

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/sheafdb/sheaf/bench/measure"
)

// Memory is what a process holds of the machine's memory.
type Memory struct {
	ResidentBytes int64 // now
	PeakBytes     int64 // the most it ever held
}

// MemoryOf reads a process's memory.
func MemoryOf(pid int) (Memory, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return Memory{}, err
	}
	return parseMemory(string(status))
}

// parseMemory reads VmRSS and VmHWM of /proc/PID/status (proc_pid_status(5)),
// which are in KiB.
func parseMemory(status string) (m Memory, err error) {
	for name, bytes := range map[string]*int64{"VmRSS": &m.ResidentBytes, "VmHWM": &m.PeakBytes} {
		kib, _, _ := strings.Cut(measure.ColonField(status, name), " ")
		if *bytes, err = strconv.ParseInt(kib, 10, 64); err != nil {
			return m, fmt.Errorf("read %s: %w", name, err)
		}
		*bytes <<= 10
	}
	return m, nil
}
