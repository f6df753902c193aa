package pebble

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// hugeBytes is the size of a huge page.
const hugeBytes = 2 << 20

// adviseHuge asks the kernel for huge pages under a large new slice: one fault for 512.
// Where a fault is dear, as on a virtual machine, those of a run's memory cost more than
// filling it. It is only a wish, so its error means nothing.
func adviseHuge(data []byte) {
	data = data[:cap(data)]
	begin := int(-uintptr(unsafe.Pointer(unsafe.SliceData(data))) & (hugeBytes - 1))
	if end := begin + (len(data)-begin)&^(hugeBytes-1); end > begin {
		_ = unix.Madvise(data[begin:end], unix.MADV_HUGEPAGE)
	}
}
