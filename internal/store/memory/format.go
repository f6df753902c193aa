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
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func decodeMeta(data []byte) (m store.Meta, keys uint64, err error) {
	if len(data) != store.MetaBytes+8 {
		return m, 0, errors.New("Meta has the wrong length")
	}
	return store.DecodeMeta(data), binary.LittleEndian.Uint64(data[store.MetaBytes:]), nil
}
