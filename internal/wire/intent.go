package wire

import (
	"encoding/binary"
	"errors"
)

// Prepared is what a group keeps of its part of an attempt, until that is resolved.
type Prepared struct {
	HomeKey     []byte
	DeadlineMS  uint64
	Fingerprint Fingerprint
	RetentionMS uint64
	// FrozenMS is the group's clock when the intents were taken: until they are resolved,
	// their keys expire by it.
	FrozenMS uint64
	// LowerBound: the batch's version will be at least this.
	LowerBound uint64
	Entries    Entries
}

// AppendHead appends all of it but the entries, which follow.
func (p *Prepared) AppendHead(dst []byte) []byte {
	dst = appendBytes(dst, p.HomeKey)
	dst = binary.AppendUvarint(dst, p.DeadlineMS)
	dst = append(dst, p.Fingerprint[:]...)
	dst = binary.AppendUvarint(dst, p.RetentionMS)
	dst = binary.AppendUvarint(dst, p.FrozenMS)
	return binary.AppendUvarint(dst, p.LowerBound)
}

// DecodePrepared reads it in place: the result views data.
func DecodePrepared(data []byte) (p Prepared, err error) {
	r := reader{rest: data}
	p.HomeKey = r.bytes(r.length())
	p.DeadlineMS = r.uvarint()
	copy(p.Fingerprint[:], r.bytes(len(p.Fingerprint)))
	p.RetentionMS = r.uvarint()
	p.FrozenMS = r.uvarint()
	p.LowerBound = r.uvarint()
	if r.failed {
		return p, errors.New("malformed attempt")
	}
	p.Entries, err = ParseEntries(r.rest, shapeOnly)
	return p, err
}

// Holder is who keeps writers off a key: an attempt, or a reader's reservation.
type Holder struct {
	// RequestID is the batch's, or the reader's ID.
	RequestID string
	// Attempt is 0 for a reservation.
	Attempt uint64
	// UntilMS is when a reservation ends, by the group's clock.
	UntilMS uint64

	// What follows is the attempt's, and not part of the encoding.

	HomeKey                 []byte
	DeadlineMS, RetentionMS uint64
	// Paused: it is nobody's key, but new batches over several groups wait (see Paused).
	Paused bool
}

// Append appends the encoding: attempt, until (varints), request ID.
func (h Holder) Append(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, h.Attempt)
	dst = binary.AppendUvarint(dst, h.UntilMS)
	return append(dst, h.RequestID...)
}

// DecodeHolder reads it; the result does not view data.
func DecodeHolder(data []byte) (Holder, error) {
	r := reader{rest: data}
	h := Holder{Attempt: r.uvarint(), UntilMS: r.uvarint()}
	if r.failed {
		return h, errors.New("malformed holder of a key")
	}
	h.RequestID = string(r.rest)
	return h, nil
}

// AppendAttempt appends the name of an attempt: its number (8 bytes, big endian) and its
// request ID.
func AppendAttempt(dst []byte, requestID string, attempt uint64) []byte {
	return append(binary.BigEndian.AppendUint64(dst, attempt), requestID...)
}

// SplitAttempt takes the name apart.
func SplitAttempt(name []byte) (requestID string, attempt uint64) {
	return string(name[8:]), binary.BigEndian.Uint64(name)
}
