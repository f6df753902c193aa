//go:build !linux

package wal

import "github.com/cockroachdb/pebble/v2/vfs"

// writeVecs writes vecs one after the other at offset.
func writeVecs(file vfs.File, _ uintptr, vecs [][]byte, offset int64) error {
	return writeEach(file, vecs, offset)
}
