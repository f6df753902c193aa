// Package document reads JSON as Sheaf takes it: the bodies of the HTTP API, and lines that are
// entries.
package document

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/sheafdb/sheaf"
)

// Document walks a JSON body, or a line that is one, in place. encoding/json says first whether it is
// JSON at all; what is left to the walk is what encoding/json would let pass:
// field names in other cases or given twice, wrong types turned into zeros, and
// strings that cannot be what was meant.
//
// Unlike encoding/json it builds nothing: a string without escapes is a view of
// the body, one with escapes is decoded over its own bytes. So a batch of 64 MiB
// costs its entries, not a tree of them. The fuzz test of package web compares the two.
type Document struct {
	text []byte
	at   int // everything before it is consumed, and may be overwritten
	// list and index name the element that is being read, for errors; list is
	// empty at the top level.
	list  string
	index int
}

// New checks that text is one JSON value in UTF-8. The Document reads it in place, and changes it.
func New(text []byte) (*Document, error) {
	if !utf8.Valid(text) {
		return nil, sheaf.Invalid("body", "is not UTF-8: send other bytes as base64, in key_b64 and value_b64")
	}
	if !json.Valid(text) {
		err := json.Unmarshal(text, new(struct{})) // only for its message
		where := int64(len(text))
		if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
			where = syntax.Offset
		}
		return nil, sheaf.Invalid("body", "is not JSON: %s (after %d bytes)", err, where)
	}
	return &Document{text: text}, nil
}

// Field is the path of a field of the element that is being read.
func (d *Document) Field(name string) string {
	switch {
	case d.list == "":
		return name
	case name == "":
		return fmt.Sprintf("%s[%d]", d.list, d.index)
	}
	return fmt.Sprintf("%s[%d].%s", d.list, d.index, name)
}

// Object reads an object: visit is called for every field that is not null, and
// must consume its value. Any field that is not in names is refused, and so is
// one that comes twice.
func (d *Document) Object(names []string, visit func(name string) error) error {
	if d.peek() != '{' {
		return d.wrongType("", "an object")
	}
	d.at++
	var seen uint64
	for d.peek() != '}' {
		name, err := d.Text("field name")
		if err != nil {
			return err
		}
		i := slices.Index(names, string(name))
		if i < 0 {
			return sheaf.Invalid(d.Field(Clip(string(name))), "is not a known field: there are %s", strings.Join(names, ", "))
		}
		if seen&(1<<i) != 0 {
			return sheaf.Invalid(d.Field(names[i]), "is given twice")
		}
		seen |= 1 << i
		d.skip(':')
		if d.peek() == 'n' { // null: the same as leaving the field out
			d.at += len("null")
		} else if err := visit(names[i]); err != nil {
			return err
		}
		d.skip(',')
	}
	d.at++
	return nil
}

// Index is that of the element of an array that is being read.
func (d *Document) Index() int { return d.index }

// Element is the path of the i-th element of a list.
func Element(list string, i int) string { return fmt.Sprintf("%s[%d]", list, i) }

// Array reads an array: visit is called for every element and must consume it.
func (d *Document) Array(name string, visit func() error) error {
	if d.peek() != '[' {
		return d.wrongType(name, "an array")
	}
	d.at++
	d.list, d.index = name, 0
	defer func() { d.list = "" }()
	for d.peek() != ']' {
		if err := visit(); err != nil {
			return err
		}
		d.index++
		d.skip(',')
	}
	d.at++
	return nil
}

// peek returns the byte that the next token begins with, 0 at the end.
func (d *Document) peek() byte {
	for ; d.at < len(d.text); d.at++ {
		switch c := d.text[d.at]; c {
		case ' ', '\t', '\r', '\n':
		default:
			return c
		}
	}
	return 0
}

// skip consumes a separator, if it comes next.
func (d *Document) skip(separator byte) {
	if d.peek() == separator {
		d.at++
	}
}

// Bool reads true or false.
func (d *Document) Bool(name string) (bool, error) {
	switch d.peek() {
	case 't':
		d.at += len("true")
		return true, nil
	case 'f':
		d.at += len("false")
		return false, nil
	}
	return false, d.wrongType(name, "true or false")
}

// integer reads the text of a 64-bit integer, which may be a string (as JSON in
// JavaScript needs it) or a number.
func (d *Document) integer(name string) (string, error) {
	switch c := d.peek(); {
	case c == '"':
		text, err := d.Text(name)
		return string(text), err
	case c == '-' || c >= '0' && c <= '9':
		begin := d.at
		if n := bytes.IndexAny(d.text[begin:], ",]} \t\r\n"); n >= 0 {
			d.at += n
		} else {
			d.at = len(d.text)
		}
		return string(d.text[begin:d.at]), nil
	}
	return "", d.wrongType(name, "an integer, or one in a string")
}

// wrongType is the error for a value of another type than its field has.
func (d *Document) wrongType(name, want string) error {
	field := d.Field(name)
	if field == "" {
		field = "body"
	}
	got := map[byte]string{
		'{': "an object", '[': "an array", '"': "a string", 't': "true", 'f': "false", 'n': "null",
	}[d.peek()]
	if got == "" {
		got = "a number"
	}
	return sheaf.Invalid(field, "is %s: it must be %s", got, want)
}
