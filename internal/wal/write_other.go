//go:build !linux

package wal

import "github.com/cockroachdb/pebble/v2/vfs"

// vecWriter writes several slices at once where the system can. Here it can not.
type vecWriter struct{}

// write writes vecs one after the other at offset.
func (vecWriter) write(file vfs.File, _ uintptr, vecs [][]byte, offset int64) error {
	return writeEach(file, vecs, offset)
}
