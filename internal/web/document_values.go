package web

import (
	"math"
	"strconv"

	"github.com/sheafdb/sheaf"
)

// ttlMS reads a time to live in milliseconds. What is a number but no time to live is for whoever writes the entry to
// refuse.
func (d *document) ttlMS(name string) (int64, error) {
	text, err := d.integer(name)
	if err != nil {
		return 0, err
	}
	v, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, sheaf.Invalid(d.field(name), "is %q: it must be an integer from 0 to %d", clip(text), sheaf.MaxTTL.Milliseconds())
	}
	return v, nil
}

// uint reads an unsigned 64-bit integer.
func (d *document) uint(name string) (uint64, error) {
	text, err := d.integer(name)
	if err != nil {
		return 0, err
	}
	v, err := parseUint(text)
	if err != nil {
		return 0, sheaf.Invalid(d.field(name), "is %q: it must be an integer from 0 to %d", clip(text), uint64(math.MaxUint64))
	}
	return v, nil
}

// consistency reads the name of a level.
func (d *document) consistency(name string) (sheaf.Consistency, error) {
	text, err := d.string(name)
	if err != nil {
		return 0, err
	}
	return parseConsistency(d.field(name), string(text))
}

func parseConsistency(field, text string) (sheaf.Consistency, error) {
	level, err := sheaf.ParseConsistency(text)
	if err != nil {
		return 0, sheaf.Invalid(field, "is %q: use linearizable, sequential or eventual", clip(text))
	}
	return level, nil
}

func parseUint(text string) (uint64, error) { return strconv.ParseUint(text, 10, 64) }
