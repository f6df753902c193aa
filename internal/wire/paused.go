package wire

import (
	"encoding/binary"
	"errors"
)

// Paused is what a group keeps of the Pause that it applied last.
type Paused struct {
	ID string
	// Began is the log entry with which it began: what is said of it is said of all entries
	// from there on.
	Began uint64
	// UntilMS is when it ends, by the group's clock.
	UntilMS uint64
}

// Append appends the encoding: began, until (varints), ID.
func (p Paused) Append(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, p.Began)
	dst = binary.AppendUvarint(dst, p.UntilMS)
	return append(dst, p.ID...)
}

// DecodePaused reads it; the result does not view data. Nothing decodes to no pause.
func DecodePaused(data []byte) (Paused, error) {
	if len(data) == 0 {
		return Paused{}, nil
	}
	r := reader{rest: data}
	p := Paused{Began: r.uvarint(), UntilMS: r.uvarint()}
	if r.failed {
		return Paused{}, errors.New("malformed pause")
	}
	p.ID = string(r.rest)
	return p, nil
}
