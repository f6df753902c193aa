package memory

import (
	"encoding/binary"
	"errors"
	"hash/crc32"

	"github.com/sheafdb/sheaf/internal/store"
)

// The file "snapshot-<index, 16 hex digits>" is the whole state after the log
// entry of that index. Numbers are little endian unless they are varints.
//
//	file    = magic (8 bytes) version (4 bytes) block...
//	block   = kind (1 byte) length (4 bytes) payload (length bytes) sum (4 bytes)
//	sum     = CRC-32C of all bytes of the file before it
//
//	kind 1  the Meta: its fields in their order, 8 bytes each, and how many keys of
//	        space Data there are (8 bytes); the first block
//	kind 2  records: space (1 byte) key length, value length (uvarints) key value
//	kind 3  the end: the number of records (8 bytes); the last block
//
// A sum covers the file so far, so a block that is missing, repeated or moved is
// noticed as one that is changed is, and the reader need not hold more than one
// block to trust what it has read. Blocks hold whole records and end at the first
// record beyond blockBytes; a large record makes its block as large.
const (
	magic         = "sheafsnp"
	formatVersion = 3
	preambleBytes = len(magic) + 4

	kindMeta    = 1
	kindRecords = 2
	kindEnd     = 3

	blockHeadBytes = 1 + 4
	sumBytes       = 4
	blockBytes     = 256 << 10
	// maxBlockBytes bounds what a damaged length can make the reader allocate.
	maxBlockBytes = 1 << 30

	metaBytes = 8 * 8
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func appendMeta(dst []byte, m store.Meta) []byte {
	for _, field := range [...]uint64{m.Index, m.Term, m.NowMS, m.Clock, m.Floor, m.Rows, m.Held, m.IDFloorMS} {
		dst = binary.LittleEndian.AppendUint64(dst, field)
	}
	return dst
}

func decodeMeta(data []byte) (m store.Meta, keys uint64, err error) {
	if len(data) != metaBytes+8 {
		return m, 0, errors.New("Meta has the wrong length")
	}
	for _, field := range [...]*uint64{&m.Index, &m.Term, &m.NowMS, &m.Clock, &m.Floor, &m.Rows, &m.Held, &m.IDFloorMS} {
		*field = binary.LittleEndian.Uint64(data)
		data = data[8:]
	}
	return m, binary.LittleEndian.Uint64(data), nil
}

func appendRecord(dst []byte, space store.Space, key, value []byte) []byte {
	dst = append(dst, byte(space))
	dst = binary.AppendUvarint(dst, uint64(len(key)))
	dst = binary.AppendUvarint(dst, uint64(len(value)))
	dst = append(dst, key...)
	return append(dst, value...)
}

var errMalformed = errors.New("malformed record")

// cutRecord takes the first record off data. Key and value view data.
func cutRecord(data []byte) (space store.Space, key, value, rest []byte, err error) {
	space = store.Space(data[0])
	if space < store.Data || space > store.Own {
		return 0, nil, nil, nil, errMalformed
	}
	data = data[1:]
	keyBytes, n := binary.Uvarint(data)
	if n <= 0 {
		return 0, nil, nil, nil, errMalformed
	}
	data = data[n:]
	valueBytes, n := binary.Uvarint(data)
	if n <= 0 {
		return 0, nil, nil, nil, errMalformed
	}
	data = data[n:]
	if keyBytes > uint64(len(data)) || valueBytes > uint64(len(data))-keyBytes {
		return 0, nil, nil, nil, errMalformed
	}
	end := keyBytes + valueBytes
	return space, data[:keyBytes], data[keyBytes:end], data[end:], nil
}
