package wire

import (
	"encoding/binary"
	"errors"
)

// Row is what a group remembers of a request ID.
type Row struct {
	Fingerprint Fingerprint
	// Version is that of the committed batch; 0 in a row of refusals.
	Version uint64
	// DueMS is when the row is dropped, by the group's clock.
	DueMS uint64
	// Refused holds the ConditionHash of every attempt that a condition refused.
	Refused []uint64

	// Attempt is the one that was committed, of a batch over several groups; 0 of any
	// other.
	Attempt uint64
	// Unfinished are keys of the groups that may not have resolved the batch yet: only its
	// home has them, until all have.
	Unfinished [][]byte

	// Bundle: the row is that of a bundle. Version is then that of the first entry that was
	// applied, the others have those after it, in their order, and Without are the entries that a
	// condition refused. Version is not 0 either when that are all.
	Bundle  bool
	Without Positions
}

// MaxRefused bounds Row.Refused; an ID that reaches it is refused for good.
const MaxRefused = 8

// Committed reports whether the batch was applied.
func (r Row) Committed() bool { return r.Version != 0 }

// HasRefused reports whether an attempt with these conditions was refused.
func (r Row) HasRefused(condition uint64) bool {
	for _, hash := range r.Refused {
		if hash == condition {
			return true
		}
	}
	return false
}

// Append appends the row's encoding: fingerprint (16 bytes), version, due and
// number of refusals (varints), the refusals (8 bytes each, big endian). The row of an
// attempt goes on with its number, the number of unfinished keys, and each with its length
// (varints); that of a bundle with a 0, which is no attempt, and the positions, with their
// length before them (varints).
func (r Row) Append(dst []byte) []byte {
	dst = append(dst, r.Fingerprint[:]...)
	dst = binary.AppendUvarint(dst, r.Version)
	dst = binary.AppendUvarint(dst, r.DueMS)
	dst = binary.AppendUvarint(dst, uint64(len(r.Refused)))
	for _, hash := range r.Refused {
		dst = binary.BigEndian.AppendUint64(dst, hash)
	}
	switch {
	case r.Bundle:
		return appendBytes(append(dst, 0), r.Without)
	case r.Attempt == 0:
		return dst
	}
	dst = binary.AppendUvarint(dst, r.Attempt)
	dst = binary.AppendUvarint(dst, uint64(len(r.Unfinished)))
	for _, key := range r.Unfinished {
		dst = appendBytes(dst, key)
	}
	return dst
}

// DecodeRow reads a row; the result does not view data.
func DecodeRow(data []byte) (Row, error) {
	var row Row
	r := reader{rest: data}
	copy(row.Fingerprint[:], r.bytes(len(row.Fingerprint)))
	row.Version = r.uvarint()
	row.DueMS = r.uvarint()
	n := r.uvarint()
	if n > MaxRefused {
		return Row{}, errors.New("malformed row of a request ID")
	}
	for range n {
		row.Refused = append(row.Refused, r.uint64())
	}
	if len(r.rest) > 0 && !r.failed {
		if row.Attempt = r.uvarint(); row.Attempt == 0 {
			row.Bundle, row.Without = true, append(Positions(nil), r.bytes(r.length())...)
			r.failed = r.failed || !row.Without.canonical() || row.Version == 0
		} else {
			for range r.length() {
				row.Unfinished = append(row.Unfinished, append([]byte(nil), r.bytes(r.length())...))
			}
		}
	}
	if r.failed || len(r.rest) > 0 {
		return Row{}, errors.New("malformed row of a request ID")
	}
	return row, nil
}
