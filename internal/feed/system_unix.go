//go:build unix

package feed

import "golang.org/x/sys/unix"

// mapBytes returns memory that the garbage collector does not count. Like every allocation in Go it
// ends the process when there is none.
func mapBytes(n int) []byte {
	data, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		panic("feed: out of memory: " + err.Error())
	}
	if n >= hugeBytes {
		_ = adviseHuge(data) // it is only a wish
	}
	return data
}

const hugeBytes = 2 << 20

// unmapBytes gives back what mapBytes returned, as a whole.
func unmapBytes(data []byte) {
	if err := unix.Munmap(data); err != nil {
		panic("feed: give memory back: " + err.Error())
	}
}
