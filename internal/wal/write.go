package wal

import "github.com/cockroachdb/pebble/v2/vfs"

// writeEach writes vecs one after the other at offset, with a call for each.
func writeEach(file vfs.File, vecs [][]byte, offset int64) error {
	for _, v := range vecs {
		if _, err := file.WriteAt(v, offset); err != nil {
			return err
		}
		offset += int64(len(v))
	}
	return nil
}

// skipWritten returns what is left of vecs after n bytes of it were written.
func skipWritten(vecs [][]byte, n int) [][]byte {
	for len(vecs) > 0 && n >= len(vecs[0]) {
		n -= len(vecs[0])
		vecs = vecs[1:]
	}
	if n > 0 {
		vecs[0] = vecs[0][n:]
	}
	return vecs
}
