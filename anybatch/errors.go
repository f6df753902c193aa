package anybatch

import (
	"errors"
	"fmt"
)

// The reasons in an Error; use errors.Is.
var (
	// ErrUnknownType: the type is not registered.
	ErrUnknownType = errors.New("type is not registered")
	// ErrMalformed: the bytes are not what they should be, or end too early.
	ErrMalformed = errors.New("malformed")
	// ErrTooManyMessages: the batch has Limits.Messages of them.
	ErrTooManyMessages = errors.New("more messages than the batch may hold")
	// ErrTooManyBytes: the batch would pass Limits.Bytes.
	ErrTooManyBytes = errors.New("more bytes than the batch may hold")
	// ErrMessageTooLarge: one message is above Limits.MessageBytes.
	ErrMessageTooLarge = errors.New("message is larger than allowed")
)

// Error is a message that could not be decoded.
type Error struct {
	// Index is its place among the messages of the batch since Reset, from 0: the
	// number of messages before it, all of which are decoded and usable.
	Index int
	// TypeURL is as it came, cut to 256 bytes; empty when it could not be read.
	TypeURL string
	// Err wraps one of the reasons above.
	Err error
}

// Error is the text.
func (e *Error) Error() string {
	if e.TypeURL == "" {
		return fmt.Sprintf("anybatch: message %d: %v", e.Index, e.Err)
	}
	return fmt.Sprintf("anybatch: message %d of type %q: %v", e.Index, e.TypeURL, e.Err)
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// maxErrorURLBytes bounds what an error keeps of input that somebody else chose.
const maxErrorURLBytes = 256

// malformed keeps the decoder's own words beside the reason.
func malformed(err error) error { return fmt.Errorf("%w: %w", ErrMalformed, err) }

func errorAt(index int, url []byte, err error) *Error {
	return &Error{Index: index, TypeURL: string(url[:min(len(url), maxErrorURLBytes)]), Err: err}
}
