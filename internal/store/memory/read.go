package memory

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/sheafdb/sheaf/internal/store"
	"github.com/sheafdb/sheaf/shardmap"
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
//
// One goroutine reads and checks blocks while this one puts the records into the tables.
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
	meta, keys, err := r.preamble()
	if err != nil {
		return err
	}
	if meta.Index != index {
		return r.corrupt("holds the state at log entry %d", meta.Index)
	}
	s.meta = meta
	// Not more than the file can hold, whatever the number says: a record has 3 bytes.
	s.tables[tableIndex(store.Data)].reserve(int(min(keys, uint64(r.size/3))))
	blocks, free := make(chan readBlock, readAhead), make(chan []byte, readAhead+2)
	for range cap(free) {
		free <- nil
	}
	stop := make(chan struct{})
	go r.readAll(blocks, free, stop)
	defer func() {
		close(stop)
		for range blocks { // until the reader has let go of the file
		}
	}()
	var count uint64
	for b := range blocks {
		switch {
		case b.err != nil:
			return b.err
		case b.kind == kindEnd:
			return r.end(b.payload, b.end, count)
		case b.kind != kindRecords:
			return r.corrupt("offset %d: block of kind %d", b.begin, b.kind)
		}
		n, err := s.loadRecords(b.payload)
		if err != nil {
			return r.corrupt("offset %d: %v", b.begin, err)
		}
		count += n
		free <- b.payload
	}
	return r.corrupt("it has no end")
}

// readAhead is how many blocks may wait to be loaded.
const readAhead = 4

// readBlock is one checked block, or why there is none.
type readBlock struct {
	kind       byte
	payload    []byte // belongs to the receiver
	begin, end int64  // offsets in the file
	err        error
}

// readAll sends all blocks, into buffers from free, until the end, an error or stop.
func (r *snapshotReader) readAll(blocks chan<- readBlock, free <-chan []byte, stop <-chan struct{}) {
	defer close(blocks)
	for {
		select {
		case r.buf = <-free:
			r.buf = r.buf[:cap(r.buf)]
		case <-stop:
			return
		}
		b := readBlock{begin: r.offset}
		b.kind, b.payload, b.err = r.block()
		b.end = r.offset
		select {
		case blocks <- b:
		case <-stop:
			return
		}
		if b.err != nil || b.kind == kindEnd {
			return
		}
	}
}

// loadRecords puts a block's records into the tables, as one batch a table.
func (s *Store) loadRecords(payload []byte) (count uint64, err error) {
	defer s.forget()
	for len(payload) > 0 {
		space, key, value, rest, err := store.CutRecord(payload)
		if err != nil {
			return count, err
		}
		payload = rest
		count++
		if space == store.Due {
			s.due.ReplaceOrInsert(string(key))
			continue
		}
		i := tableIndex(space)
		s.batches[i] = append(s.batches[i], shardmap.BytesEntry{Key: key, Value: value})
	}
	for i, batch := range s.batches {
		if len(batch) > 0 {
			s.tables[i].write(batch)
		}
	}
	return count, nil
}

func (r *snapshotReader) corrupt(format string, args ...any) error {
	return store.Corruptf(r.path, format, args...)
}

func (r *snapshotReader) preamble() (meta store.Meta, keys uint64, err error) {
	data, err := r.read(preambleBytes)
	if err != nil {
		return meta, 0, err
	}
	if string(data[:len(magic)]) != magic {
		return meta, 0, r.corrupt("offset 0: this is not a snapshot")
	}
	if version := binary.LittleEndian.Uint32(data[len(magic):]); version != formatVersion {
		return meta, 0, r.corrupt("offset %d: format version %d, this program reads %d", len(magic), version, formatVersion)
	}
	begin := r.offset
	kind, payload, err := r.block()
	if err != nil {
		return meta, 0, err
	}
	if kind == kindMeta {
		meta, keys, err = decodeMeta(payload)
	}
	if kind != kindMeta || err != nil {
		return meta, 0, r.corrupt("offset %d: no Meta", begin)
	}
	return meta, keys, nil
}

// end checks the last block, which ends at offset.
func (r *snapshotReader) end(payload []byte, offset int64, count uint64) error {
	switch {
	case len(payload) != 8:
		return r.corrupt("offset %d: malformed end", offset)
	case binary.LittleEndian.Uint64(payload) != count:
		return r.corrupt("offset %d: %d records, not %d", offset, count, binary.LittleEndian.Uint64(payload))
	case offset != r.size:
		return r.corrupt("offset %d: bytes after the end", offset)
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
