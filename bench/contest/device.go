package contest

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// Device is the block device under the data directories, as /proc/diskstats
// names it; "" when the file system has none of its own (tmpfs, overlay, btrfs).
//
// What the kernel charges to a process (write_bytes in /proc/PID/io) is not what
// reaches the disk: a file system with large folios charges the whole folio, a
// megabyte perhaps, when one page of it changes, and the log changes a few pages
// of a pre-written file at a time. The device tells the truth, but of everyone:
// both numbers are reported.
type Device string

// sectorBytes is the unit of /proc/diskstats, whatever the device's sectors are.
const sectorBytes = 512

// DeviceOf finds the device under a directory.
func DeviceOf(dir string) (Device, error) {
	var stat syscall.Stat_t
	if err := syscall.Stat(dir, &stat); err != nil {
		return "", fmt.Errorf("find the device of %s: %w", dir, err)
	}
	// The encoding of dev_t in the kernel's user interface (makedev(3)).
	major := stat.Dev>>8&0xfff | stat.Dev>>32&^0xfff
	minor := stat.Dev&0xff | stat.Dev>>12&^0xff
	d := Device(fmt.Sprintf("%d %d", major, uint32(minor)))
	if _, ok, err := d.Written(); err != nil || !ok {
		return "", err
	}
	return d, nil
}

// Written returns the bytes written to the device since the machine started,
// and false if there is none.
func (d Device) Written() (int64, bool, error) {
	if d == "" {
		return 0, false, nil
	}
	stats, err := os.ReadFile("/proc/diskstats")
	if err != nil {
		return 0, false, err
	}
	return parseDeviceWritten(string(stats), string(d))
}

// parseDeviceWritten finds a device by its two numbers. Field 10 of its line is
// the number of sectors written (Documentation/admin-guide/iostats.rst).
func parseDeviceWritten(diskstats, numbers string) (int64, bool, error) {
	for line := range strings.Lines(diskstats) {
		fields := strings.Fields(line)
		if len(fields) < 10 || fields[0]+" "+fields[1] != numbers {
			continue
		}
		sectors, err := strconv.ParseInt(fields[9], 10, 64)
		if err != nil {
			return 0, false, fmt.Errorf("read /proc/diskstats: %w", err)
		}
		return sectors * sectorBytes, true, nil
	}
	return 0, false, nil
}
