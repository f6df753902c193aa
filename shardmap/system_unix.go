//go:build unix

package shardmap

import "golang.org/x/sys/unix"

// mapSystem returns zeroed memory that the garbage collector does not count. Like every
// allocation in Go it ends the process when there is none.
func mapSystem(n int) []byte {
	data, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		panic("shardmap: out of memory: " + err.Error())
	}
	if n >= hugeBytes {
		// A page of 2 MiB is one fault instead of 512. It is only a wish.
		_ = adviseHuge(data)
	}
	return data
}

const hugeBytes = 2 << 20

// unmapSystem gives back what mapSystem returned, as a whole.
func unmapSystem(data []byte) {
	if err := unix.Munmap(data); err != nil {
		panic("shardmap: give memory back: " + err.Error())
	}
}

// returnSystem gives the pages of a part of what mapSystem returned back, and says whether
// it could. The part stays usable; its content is lost.
func returnSystem(data []byte) bool { return unix.Madvise(data, unix.MADV_DONTNEED) == nil }
