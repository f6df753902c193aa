package store

import (
	"encoding/binary"
	"errors"
)

// What the files of stores and backups have in common.

// MetaBytes is the length of an encoded Meta.
const MetaBytes = 8 * 8

// Append appends the encoding: the fields in their order, 8 bytes each, little endian.
func (m Meta) Append(dst []byte) []byte {
	for _, field := range [...]uint64{m.Index, m.Term, m.NowMS, m.Clock, m.Floor, m.Rows, m.Held, m.IDFloorMS} {
		dst = binary.LittleEndian.AppendUint64(dst, field)
	}
	return dst
}

// DecodeMeta reads the first MetaBytes of data.
func DecodeMeta(data []byte) (m Meta) {
	for _, field := range [...]*uint64{&m.Index, &m.Term, &m.NowMS, &m.Clock, &m.Floor, &m.Rows, &m.Held, &m.IDFloorMS} {
		*field = binary.LittleEndian.Uint64(data)
		data = data[8:]
	}
	return m
}

// AppendRecord appends the encoding of a record: its space (1 byte), the lengths of key and
// value (uvarints), key, value.
func AppendRecord(dst []byte, space Space, key, value []byte) []byte {
	dst = append(dst, byte(space))
	dst = binary.AppendUvarint(dst, uint64(len(key)))
	dst = binary.AppendUvarint(dst, uint64(len(value)))
	dst = append(dst, key...)
	return append(dst, value...)
}

var errMalformed = errors.New("malformed record")

// CutRecord takes the first record off data, which must not be empty. Key and value view data.
func CutRecord(data []byte) (space Space, key, value, rest []byte, err error) {
	if space = Space(data[0]); space < Data || space > Own {
		return 0, nil, nil, nil, errMalformed
	}
	data = data[1:]
	var lengths [2]uint64
	for i := range lengths {
		n := 0
		if lengths[i], n = binary.Uvarint(data); n <= 0 {
			return 0, nil, nil, nil, errMalformed
		}
		data = data[n:]
	}
	if lengths[0] > uint64(len(data)) || lengths[1] > uint64(len(data))-lengths[0] {
		return 0, nil, nil, nil, errMalformed
	}
	end := lengths[0] + lengths[1]
	return space, data[:lengths[0]], data[lengths[0]:end], data[end:], nil
}
