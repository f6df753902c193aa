package memory

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/sheafdb/sheaf/internal/store"
)

var errTooLarge = errors.New("record is too large for a snapshot")

// syncEveryBytes makes the disk take the file as it grows, so that the sync at
// the end is short and does not hold up those of the log.
const syncEveryBytes = 1 << 20

// snapshotWriter writes the blocks of one snapshot file.
type snapshotWriter struct {
	file vfs.File
	sum  uint32
	// block is the block of records being filled, with room for its head.
	block []byte
	count uint64
}

// writeSnapshot writes what fill adds to a file of its own, and gives it the
// snapshot's name only when all of it is on disk.
func writeSnapshot(fs vfs.FS, dir string, meta store.Meta, keys int, fill func(*snapshotWriter) error) error {
	path := fs.PathJoin(dir, snapshotName(meta.Index))
	file, err := fs.Create(path+tempSuffix, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	file = vfs.NewSyncingFile(file, vfs.SyncingFileOptions{BytesPerSync: syncEveryBytes})
	w := &snapshotWriter{file: file, block: make([]byte, blockHeadBytes, blockBytes+64<<10)}
	err = w.write(meta, keys, fill)
	if err == nil {
		err = file.Sync()
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", path+tempSuffix, err), fs.Remove(path+tempSuffix))
	}
	if err := fs.Rename(path+tempSuffix, path); err != nil {
		return err
	}
	return syncDir(fs, dir)
}

func (w *snapshotWriter) write(meta store.Meta, keys int, fill func(*snapshotWriter) error) error {
	preamble := binary.LittleEndian.AppendUint32([]byte(magic), formatVersion)
	if err := w.writeBytes(preamble); err != nil {
		return err
	}
	head := meta.Append(make([]byte, blockHeadBytes))
	head = binary.LittleEndian.AppendUint64(head, uint64(keys))
	if err := w.writeBlock(kindMeta, head); err != nil {
		return err
	}
	if err := fill(w); err != nil {
		return err
	}
	if err := w.flushRecords(); err != nil {
		return err
	}
	end := binary.LittleEndian.AppendUint64(make([]byte, blockHeadBytes), w.count)
	return w.writeBlock(kindEnd, end)
}

// add writes one record. It copies key and value.
func (w *snapshotWriter) add(space store.Space, key, value []byte) error {
	if len(key)+len(value) > maxBlockBytes/2 {
		return fmt.Errorf("key of %d and value of %d bytes: %w", len(key), len(value), errTooLarge)
	}
	w.block = store.AppendRecord(w.block, space, key, value)
	w.count++
	if len(w.block) < blockBytes {
		return nil
	}
	return w.flushRecords()
}

func (w *snapshotWriter) flushRecords() error {
	if len(w.block) == blockHeadBytes {
		return nil
	}
	err := w.writeBlock(kindRecords, w.block)
	w.block = w.block[:blockHeadBytes]
	return err
}

// writeBlock writes a block whose payload follows blockHeadBytes of room. It may
// append to block.
func (w *snapshotWriter) writeBlock(kind byte, block []byte) error {
	block[0] = kind
	binary.LittleEndian.PutUint32(block[1:], uint32(len(block)-blockHeadBytes))
	sum := crc32.Update(w.sum, castagnoli, block)
	return w.writeBytes(binary.LittleEndian.AppendUint32(block, sum))
}

func (w *snapshotWriter) writeBytes(data []byte) error {
	w.sum = crc32.Update(w.sum, castagnoli, data)
	_, err := w.file.Write(data)
	return err
}
