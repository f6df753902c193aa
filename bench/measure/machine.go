// Package measure has what every measurement here needs: a description of the
// machine, what a piece of work costs this process, and numbers as one prints
// them. It measures nothing by itself. Linux only: it reads /proc.
package measure

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// Machine is what the numbers depend on.
type Machine struct {
	CPU         string  `json:"cpu"`
	Cores       int     `json:"cores"`
	MemoryBytes int64   `json:"memory_bytes"`
	Kernel      string  `json:"kernel"`
	Go          string  `json:"go"`
	FileSystem  string  `json:"file_system"` // of the data directories
	Load        float64 `json:"load"`        // average of the last minute, before the start
}

// ReadMachine describes this machine, with the file system that dir is on.
func ReadMachine(dir string) (Machine, error) {
	m := Machine{Cores: runtime.NumCPU(), Go: runtime.Version()}
	files := make(map[string]string)
	for _, name := range []string{"cpuinfo", "meminfo", "sys/kernel/osrelease", "loadavg", "self/mountinfo"} {
		data, err := os.ReadFile("/proc/" + name)
		if err != nil {
			return m, err
		}
		files[name] = string(data)
	}
	path, err := filepath.Abs(dir)
	if err != nil {
		return m, err
	}
	m.CPU = ColonField(files["cpuinfo"], "model name")
	kib, _, _ := strings.Cut(ColonField(files["meminfo"], "MemTotal"), " ")
	if m.MemoryBytes, err = strconv.ParseInt(kib, 10, 64); err != nil {
		return m, fmt.Errorf("read the memory's size: %w", err)
	}
	m.MemoryBytes <<= 10
	m.Kernel = strings.TrimSpace(files["sys/kernel/osrelease"])
	load, _, _ := strings.Cut(files["loadavg"], " ")
	if m.Load, err = strconv.ParseFloat(load, 64); err != nil {
		return m, fmt.Errorf("read the load: %w", err)
	}
	m.FileSystem = fileSystemOf(files["self/mountinfo"], path)
	return m, nil
}

// String is the line above the tables.
func (m Machine) String() string {
	cpu := m.CPU
	if cpu == "" { // some architectures do not tell
		cpu = "unknown CPU"
	}
	return fmt.Sprintf("%d cores (%s), %.0f GiB, Linux %s, %s, %s, load %.1f before the start",
		m.Cores, cpu, float64(m.MemoryBytes)/(1<<30), m.Kernel, m.Go, m.FileSystem, m.Load)
}

// ColonField returns the first value of a "name : value" line, or "".
func ColonField(text, name string) string {
	for line := range strings.Lines(text) {
		key, value, ok := strings.Cut(line, ":")
		if ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// fileSystemOf returns the type of the mount that holds an absolute path, from
// /proc/self/mountinfo (proc_pid_mountinfo(5)): field 5 is the mount point, and
// the type follows a lone hyphen. Of two mounts on one point the last counts.
func fileSystemOf(mountinfo, path string) string {
	best, kind := "", "unknown file system"
	for line := range strings.Lines(mountinfo) {
		left, right, ok := strings.Cut(line, " - ")
		fields, types := strings.Fields(left), strings.Fields(right)
		if !ok || len(fields) < 5 || len(types) < 1 {
			continue
		}
		point := fields[4]
		inside := path == point || strings.HasPrefix(path, strings.TrimSuffix(point, "/")+"/")
		if inside && len(point) >= len(best) {
			best, kind = point, types[0]
		}
	}
	return kind
}
