package sheaf

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
)

// RequestID is the caller's name for one batch; it makes retries safe. It is 1
// to 128 printable ASCII characters. The form "v7-" followed by a UUIDv7 (RFC
// 9562) tells its own age; any other ID is opaque and has none.
type RequestID string

// Validate says what is wrong with an ID.
func (id RequestID) Validate() error {
	if id == "" {
		return errors.New("request ID is empty")
	}
	if len(id) > MaxRequestIDBytes {
		return fmt.Errorf("request ID has %d characters: at most %d are allowed", len(id), MaxRequestIDBytes)
	}
	for i := range len(id) {
		if id[i] < 0x20 || id[i] > 0x7e {
			return fmt.Errorf("request ID has byte 0x%02x at position %d: only printable ASCII is allowed", id[i], i)
		}
	}
	return nil
}

// IssueTime returns when an ID of the form v7-<UUIDv7> was made, to the
// millisecond, and false for an opaque ID.
func (id RequestID) IssueTime() (time.Time, bool) {
	text, ok := strings.CutPrefix(string(id), "v7-")
	// xxxxxxxx-xxxx-7xxx-[89ab]xxx-xxxxxxxxxxxx
	if !ok || len(text) != 36 || text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-' {
		return time.Time{}, false
	}
	var raw [16]byte
	var room [36]byte // not a string's memory: the walk of a batch asks several times
	digits := room[:0]
	for i := range len(text) {
		if text[i] != '-' {
			digits = append(digits, text[i])
		}
	}
	if n, err := hex.Decode(raw[:], digits); err != nil || n != 16 {
		return time.Time{}, false
	}
	if raw[6]>>4 != 7 || raw[8]>>6 != 0b10 {
		return time.Time{}, false
	}
	var ms int64
	for _, b := range raw[:6] {
		ms = ms<<8 | int64(b)
	}
	return time.UnixMilli(ms), true
}
