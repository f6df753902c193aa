package pebble

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/sheafdb/sheaf/internal/store"
)

// The mark is a small file beside Pebble's with the Meta.Index known to be
// durable. Pebble reads its MANIFEST up to the first record that does not
// check, and takes that for the end: one flipped bit makes it come up with an
// older state, or none, without an error. A store below its mark is damaged.
//
// Format: version (1 byte), index (8 bytes, little endian), CRC-32C of both.
const (
	markName    = "durable-index"
	markTemp    = markName + ".tmp"
	markVersion = 1
	markBytes   = 1 + 8 + 4
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func encodeMark(index uint64) []byte {
	data := binary.LittleEndian.AppendUint64([]byte{markVersion}, index)
	return binary.LittleEndian.AppendUint32(data, crc32.Checksum(data, castagnoli))
}

// writeMark replaces the mark in one step: a power cut leaves the old or the new.
func writeMark(fsys vfs.FS, dir string, index uint64) error {
	temp := fsys.PathJoin(dir, markTemp)
	f, err := fsys.Create(temp, vfs.WriteCategoryUnspecified)
	if err != nil {
		return fmt.Errorf("write mark: %w", err)
	}
	_, err = f.Write(encodeMark(index))
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = fsys.Rename(temp, fsys.PathJoin(dir, markName))
	}
	if err == nil {
		err = syncDir(fsys, dir)
	}
	if err != nil {
		return fmt.Errorf("write mark: %w", err)
	}
	return nil
}

// readMark returns the mark, 0 if there is none: Pebble may have flushed and
// the power gone before the mark was written.
func readMark(fsys vfs.FS, dir string) (uint64, error) {
	path := fsys.PathJoin(dir, markName)
	f, err := fsys.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	data, err := io.ReadAll(f)
	if err := errors.Join(err, f.Close()); err != nil {
		return 0, err
	}
	if len(data) != markBytes || data[0] != markVersion ||
		binary.LittleEndian.Uint32(data[9:]) != crc32.Checksum(data[:9], castagnoli) {
		return 0, store.Corruptf(path, "checksum mismatch")
	}
	return binary.LittleEndian.Uint64(data[1:]), nil
}

func syncDir(fsys vfs.FS, dir string) error {
	f, err := fsys.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
