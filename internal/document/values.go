package document

import (
	"math"
	"strconv"
	"strings"

	"github.com/sheafdb/sheaf"
)

// TTLMS reads a time to live in milliseconds. What is a number but no time to live is for whoever writes the entry to
// refuse.
func (d *Document) TTLMS(name string) (int64, error) {
	text, err := d.integer(name)
	if err != nil {
		return 0, err
	}
	v, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, sheaf.Invalid(d.Field(name), "is %q: it must be an integer from 0 to %d", Clip(text), sheaf.MaxTTL.Milliseconds())
	}
	return v, nil
}

// Uint reads an unsigned 64-bit integer.
func (d *Document) Uint(name string) (uint64, error) {
	text, err := d.integer(name)
	if err != nil {
		return 0, err
	}
	v, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, sheaf.Invalid(d.Field(name), "is %q: it must be an integer from 0 to %d", Clip(text), uint64(math.MaxUint64))
	}
	return v, nil
}

// maxQuoted bounds what a message quotes of a caller's text.
const maxQuoted = 64

// Clip shortens a caller's text so that it can stand in a message.
func Clip(text string) string {
	if len(text) > maxQuoted {
		text = text[:maxQuoted] + "…"
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}
