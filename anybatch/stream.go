package anybatch

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Stream reads encoded google.protobuf.Any messages, each after its length as a
// varint: the form that protodelim and Java's writeDelimitedTo write.
type Stream struct {
	reader *bufio.Reader
	// size is the length of the message that comes next; sized says that it has
	// been read. A batch that is full leaves it for the next.
	size  uint64
	sized bool
	err   error // from where the stream cannot go on
}

// NewStream returns a stream over r, from which it reads ahead.
func NewStream(r io.Reader) *Stream { return &Stream{reader: bufio.NewReader(r)} }

// Fill resets the batch and adds messages until it is full or the stream ends. It
// returns io.EOF when the stream ended and there is no message in the batch. Any
// other error is an *Error, with the messages before it in the batch. After an
// unknown type or a malformed message the next Fill goes on behind it; after a
// read error, a broken length or a message above Limits.MessageBytes every Fill
// fails.
func (s *Stream) Fill(b *Batch) error {
	b.Reset()
	for len(b.refs) < b.limits.Messages {
		if err := s.next(b); err != nil {
			if err == io.EOF && len(b.refs) > 0 { //nolint:errorlint // next returns it bare
				return nil
			}
			return err
		}
		// What is framed may be larger than what add counts, never smaller.
		if s.size > uint64(b.limits.Bytes-b.bytes) && len(b.refs) > 0 {
			return nil
		}
		frame := b.room(int(s.size))
		if _, err := io.ReadFull(s.reader, frame); err != nil {
			s.err = broken(err)
			return errorAt(len(b.refs), nil, s.err)
		}
		s.sized = false
		counted := b.bytes
		if err := b.DecodeAny(frame); err != nil {
			return err
		}
		if b.registry.aliases { // messages hold on to all of the frame
			b.bytes = counted + len(frame)
		}
	}
	return nil
}

// next reads the length of the next message. It returns io.EOF, bare, at the end.
func (s *Stream) next(b *Batch) error {
	switch {
	case s.err == io.EOF: //nolint:errorlint // set below, never wrapped
		return io.EOF
	case s.err != nil:
		return errorAt(len(b.refs), nil, s.err)
	case s.sized:
	default:
		size, err := binary.ReadUvarint(s.reader)
		if err == io.EOF { //nolint:errorlint // ReadUvarint does not wrap it
			s.err = err
			return err
		}
		if err != nil {
			s.err = broken(err)
			return errorAt(len(b.refs), nil, s.err)
		}
		s.size, s.sized = size, true
	}
	if s.size > uint64(b.limits.MessageBytes) {
		s.err = ErrMessageTooLarge
		return errorAt(len(b.refs), nil, s.err)
	}
	return nil
}

// broken says why a message could not be read to its end: the stream ended in
// it, its length is no number, or the reader failed.
func broken(err error) error {
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return malformed(io.ErrUnexpectedEOF)
	default:
		return fmt.Errorf("read the next message: %w", err)
	}
}

// room returns a buffer of n bytes, the batch's own. When no type points into its
// input all frames share one buffer; otherwise each has its own until Reset.
func (b *Batch) room(n int) []byte {
	if !b.registry.aliases {
		b.frames = b.frames[:0]
	}
	if cap(b.frames)-len(b.frames) < n {
		// What was handed out stays where it is, held by the messages.
		b.frames = make([]byte, 0, max(2*cap(b.frames), n))
	}
	begin := len(b.frames)
	b.frames = b.frames[:begin+n]
	return b.frames[begin : begin+n : begin+n]
}
