package memory

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/sheafdb/sheaf/internal/store"
)

// snapshotReader reads the blocks of one snapshot file and believes nothing that
// its sum does not cover.
type snapshotReader struct {
	file   vfs.File
	path   string
	size   int64
	offset int64
	sum    uint32
	buf    []byte
}

// readSnapshot fills the empty store from the snapshot of index. Any damage is
// an error that names the file and where in it the damaged block begins.
func (s *Store) readSnapshot(index uint64) (err error) {
	path := s.fs.PathJoin(s.dir, snapshotName(index))
	file, err := s.fs.Open(path, vfs.SequentialReadsOption)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	r := &snapshotReader{file: file, path: path, size: info.Size()}
	if s.meta, err = r.preamble(); err != nil {
		return err
	}
	if s.meta.Index != index {
		return r.corrupt("holds the state at log entry %d", s.meta.Index)
	}
	var count uint64
	for {
		begin := r.offset
		kind, payload, err := r.block()
		if err != nil {
			return err
		}
		if kind == kindEnd {
			return r.end(payload, count)
		}
		if kind != kindRecords {
			return r.corrupt("offset %d: block of kind %d", begin, kind)
		}
		n, err := s.loadRecords(payload)
		if err != nil {
			return r.corrupt("offset %d: %v", begin, err)
		}
		count += n
	}
}

func (s *Store) loadRecords(payload []byte) (count uint64, err error) {
	for len(payload) > 0 {
		var space store.Space
		var key, value []byte
		space, key, value, payload, err = cutRecord(payload)
		if err != nil {
			return count, err
		}
		count++
		if space == store.Due {
			s.due.ReplaceOrInsert(string(key))
			continue
		}
		t := s.tables[tableIndex(space)]
		t.put(t.shardOf(key), newRecord(key, nil, value))
	}
	return count, nil
}

func (r *snapshotReader) corrupt(format string, args ...any) error {
	return store.Corruptf(r.path, format, args...)
}

func (r *snapshotReader) preamble() (meta store.Meta, err error) {
	data, err := r.read(preambleBytes)
	if err != nil {
		return meta, err
	}
	if string(data[:len(magic)]) != magic {
		return meta, r.corrupt("offset 0: this is not a snapshot")
	}
	if version := binary.LittleEndian.Uint32(data[len(magic):]); version != formatVersion {
		return meta, r.corrupt("offset %d: format version %d, this program reads %d", len(magic), version, formatVersion)
	}
	begin := r.offset
	kind, payload, err := r.block()
	if err != nil {
		return meta, err
	}
	if kind == kindMeta {
		meta, err = decodeMeta(payload)
	}
	if kind != kindMeta || err != nil {
		return meta, r.corrupt("offset %d: no Meta", begin)
	}
	return meta, nil
}

func (r *snapshotReader) end(payload []byte, count uint64) error {
	switch {
	case len(payload) != 8:
		return r.corrupt("offset %d: malformed end", r.offset)
	case binary.LittleEndian.Uint64(payload) != count:
		return r.corrupt("offset %d: %d records, not %d", r.offset, count, binary.LittleEndian.Uint64(payload))
	case r.offset != r.size:
		return r.corrupt("offset %d: bytes after the end", r.offset)
	}
	return nil
}

// block reads one block and checks its sum. The payload is valid until the next.
func (r *snapshotReader) block() (kind byte, payload []byte, err error) {
	begin := r.offset
	head, err := r.read(blockHeadBytes)
	if err != nil {
		return 0, nil, err
	}
	kind = head[0]
	length := int64(binary.LittleEndian.Uint32(head[1:]))
	if length > maxBlockBytes {
		return 0, nil, r.corrupt("offset %d: block of %d bytes", begin, length)
	}
	payload, err = r.read(int(length))
	if err != nil {
		return 0, nil, err
	}
	want := r.sum
	// The sum's own bytes go to the other end of the buffer: payload stays.
	sum, err := r.readInto(len(payload), sumBytes)
	if err != nil {
		return 0, nil, err
	}
	if binary.LittleEndian.Uint32(sum) != want {
		return 0, nil, r.corrupt("offset %d: checksum mismatch", begin)
	}
	return kind, r.buf[:length], nil
}

func (r *snapshotReader) read(n int) ([]byte, error) { return r.readInto(0, n) }

// readInto reads n bytes to position at of the buffer, keeping what is before.
func (r *snapshotReader) readInto(at, n int) ([]byte, error) {
	if int64(n) > r.size-r.offset {
		return nil, r.corrupt("offset %d: file ends after %d bytes", r.offset, r.size)
	}
	if need := at + n; need > len(r.buf) {
		grown := make([]byte, max(need, blockBytes+64<<10))
		copy(grown, r.buf[:at])
		r.buf = grown
	}
	data := r.buf[at : at+n]
	if _, err := io.ReadFull(r.file, data); err != nil {
		return nil, fmt.Errorf("read %s at offset %d: %w", r.path, r.offset, err)
	}
	r.sum = crc32.Update(r.sum, castagnoli, data)
	r.offset += int64(n)
	return data, nil
}
