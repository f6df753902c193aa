package wire

import (
	"encoding/binary"
	"errors"
)

// Record is what a store holds under a key.
type Record struct {
	Version uint64
	// ExpiryMS is when the key expires by the group's clock; 0 is never.
	ExpiryMS uint64
	TypeURL  []byte
	Value    []byte
}

// AppendRecordHead appends all of a record but its value, which follows it: the
// version (8 bytes, big endian), the expiry (varint), the type URL (varint
// length, bytes).
func AppendRecordHead(dst []byte, version, expiryMS uint64, typeURL []byte) []byte {
	dst = binary.BigEndian.AppendUint64(dst, version)
	dst = binary.AppendUvarint(dst, expiryMS)
	dst = binary.AppendUvarint(dst, uint64(len(typeURL)))
	return append(dst, typeURL...)
}

// DecodeRecord reads a record in place: the result views data.
func DecodeRecord(data []byte) (Record, error) {
	r := reader{rest: data}
	rec := Record{Version: r.uint64(), ExpiryMS: r.uvarint()}
	rec.TypeURL = r.bytes(r.length())
	if r.failed || rec.Version == 0 {
		return Record{}, errors.New("malformed record of a key")
	}
	rec.Value = r.rest
	return rec, nil
}

// Live reports whether the record is visible at the group's clock.
func (r Record) Live(nowMS uint64) bool { return r.ExpiryMS == 0 || r.ExpiryMS > nowMS }
