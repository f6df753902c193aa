package web

import (
	"encoding/base64"
	"strconv"
	"unicode/utf8"

	"github.com/sheafdb/sheaf"
)

// stream writes a long JSON answer piece by piece. It holds at most a few times
// flushBytes, however large an item is: a value of control characters is six
// times as long in JSON.
//
// After the first error, which means that the client is gone, it writes nothing.
type stream struct {
	x   *exchange
	out []byte
	err error
	// push sends every piece at once, for a reader that follows.
	push bool
}

const (
	// flushBytes is how much is gathered before it is sent.
	flushBytes = 32 << 10
	// pieceBytes is how much of one value is encoded at a time. It is a multiple
	// of three, so that base64 has no padding between pieces.
	pieceBytes = 24 << 10
)

// raw writes text as it is.
func (s *stream) raw(text string) {
	s.out = append(s.out, text...)
	s.spill(flushBytes)
}

// spill sends what is gathered, if it is at least this much.
func (s *stream) spill(atLeast int) {
	if len(s.out) < atLeast || len(s.out) == 0 {
		return
	}
	switch {
	case s.err != nil:
	case s.push:
		s.err = s.x.push(s.out)
	default:
		s.err = s.x.write(s.out)
	}
	s.out = s.out[:0]
}

// item writes a key of an answer up to its version, without the brace that
// closes it.
func (s *stream) item(item *sheaf.Item) {
	s.raw(`{"`)
	s.bytes("key", item.Key)
	if !item.Found {
		return
	}
	s.raw(`,"`)
	s.bytes("value", item.Value)
	if item.TypeURL != "" {
		s.out = appendString(append(s.out, `,"type_url":`...), item.TypeURL)
	}
	s.out = strconv.AppendUint(append(s.out, `,"version":"`...), item.Version, 10)
	s.raw(`"`)
}

// bytes writes a field, whose first quote is written: as text if it is UTF-8,
// else as base64 in the field of that name with _b64.
func (s *stream) bytes(name string, data []byte) {
	s.raw(name)
	text := utf8.Valid(data)
	if text {
		s.raw(`":"`)
	} else {
		s.raw(`_b64":"`)
	}
	for len(data) > 0 {
		piece := data[:min(len(data), pieceBytes)]
		data = data[len(piece):]
		if text {
			s.out = appendEscaped(s.out, piece)
		} else {
			s.out = base64.StdEncoding.AppendEncode(s.out, piece)
		}
		s.spill(flushBytes)
	}
	s.raw(`"`)
}
