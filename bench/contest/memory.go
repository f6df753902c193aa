package contest

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/sheafdb/sheaf/bench/measure"
)

// Memory is what processes hold of the machine's memory.
type Memory struct {
	ResidentBytes int64 // now
	PeakBytes     int64 // the most that each ever held, added up
}

// MemoryOf reads the memory of processes and adds it up.
func MemoryOf(pids ...int) (sum Memory, err error) {
	for _, pid := range pids {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			return sum, err
		}
		m, err := parseMemory(string(status))
		if err != nil {
			return sum, err
		}
		sum.ResidentBytes += m.ResidentBytes
		sum.PeakBytes += m.PeakBytes
	}
	return sum, nil
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
