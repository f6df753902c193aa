package wal

import (
	"errors"
	"io"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sys/unix"
)

// maxVecs is the kernel's limit of iovecs per call (IOV_MAX).
const maxVecs = 1024

// writeVecs writes vecs one after the other at offset, in one call if it can.
// It may change the slices in vecs, not the bytes.
func writeVecs(file vfs.File, fd uintptr, vecs [][]byte, offset int64) error {
	if fd == vfs.InvalidFd {
		return writeEach(file, vecs, offset)
	}
	for len(vecs) > 0 {
		n, err := unix.Pwritev(int(fd), vecs[:min(len(vecs), maxVecs)], offset)
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
