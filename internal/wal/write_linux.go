package wal

import (
	"errors"
	"io"
	"unsafe"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sys/unix"
)

// maxVecs is the kernel's limit of iovecs per call (IOV_MAX).
const maxVecs = 1024

// vecWriter writes several slices at once. It keeps the array that the kernel
// wants them in; unix.Pwritev would make one for each call of more than eight.
type vecWriter struct {
	iovecs []unix.Iovec // empty between calls, cleared up to its capacity
}

// write writes vecs one after the other at offset, in one call if it can. It may
// change the slices in vecs, not the bytes, and keeps neither.
func (w *vecWriter) write(file vfs.File, fd uintptr, vecs [][]byte, offset int64) error {
	if fd == vfs.InvalidFd {
		return writeEach(file, vecs, offset)
	}
	for len(vecs) > 0 {
		n, err := w.pwritev(fd, vecs[:min(len(vecs), maxVecs)], offset)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return err
		}
		if n <= 0 {
			return io.ErrShortWrite
		}
		offset += int64(n)
		vecs = skipWritten(vecs, n)
	}
	return nil
}

func (w *vecWriter) pwritev(fd uintptr, vecs [][]byte, offset int64) (int, error) {
	for _, v := range vecs {
		vec := unix.Iovec{Base: unsafe.SliceData(v)}
		vec.SetLen(len(v))
		w.iovecs = append(w.iovecs, vec)
	}
	// The kernel takes the offset as two longs, the lower one first. A long of 64
	// bits has all of it, and the other is 0. (Shifted twice, since a shift by the
	// width of the type looks like a mistake.)
	const longBits = 8 * unix.SizeofLong
	high := uintptr(uint64(offset) >> (longBits / 2) >> (longBits / 2))
	n, _, errno := unix.Syscall6(unix.SYS_PWRITEV, fd,
		uintptr(unsafe.Pointer(unsafe.SliceData(w.iovecs))), uintptr(len(w.iovecs)), uintptr(offset), high, 0)
	clear(w.iovecs) // the payloads are the caller's
	w.iovecs = w.iovecs[:0]
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}
