package document

import (
	"bytes"
	"encoding/base64"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/sheafdb/sheaf"
)

// Text reads a string. The result points into the body and stays as it is.
func (d *Document) Text(name string) ([]byte, error) {
	if d.peek() != '"' {
		return nil, d.wrongType(name, "a string")
	}
	d.at++
	begin := d.at
	end := bytes.IndexByte(d.text[begin:], '"')
	if raw := d.text[begin : begin+end]; bytes.IndexByte(raw, '\\') < 0 {
		d.at = begin + end + 1
		return raw[:len(raw):len(raw)], nil
	}
	return d.escaped(name)
}

// escaped reads the rest of a string that has escapes, and decodes it over its
// own bytes: no escape is shorter than what it stands for.
func (d *Document) escaped(name string) ([]byte, error) {
	begin, out := d.at, d.at
	for {
		run := bytes.IndexAny(d.text[d.at:], `"\`)
		out += copy(d.text[out:], d.text[d.at:d.at+run])
		d.at += run + 1
		if d.text[d.at-1] == '"' {
			return d.text[begin:out:out], nil
		}
		c := d.text[d.at]
		d.at++
		switch c {
		case 'b':
			c = '\b'
		case 'f':
			c = '\f'
		case 'n':
			c = '\n'
		case 'r':
			c = '\r'
		case 't':
			c = '\t'
		case 'u':
			r, ok := d.codePoint()
			if !ok {
				return nil, sheaf.Invalid(d.Field(name), "has half of a surrogate pair (an escape from \\uD800 to \\uDFFF on its own): it stands for no text; send bytes as base64")
			}
			out += utf8.EncodeRune(d.text[out:out+utf8.UTFMax], r)
			continue
		} // and \" \\ \/ stand for their second character
		d.text[out] = c
		out++
	}
}

// codePoint reads the digits of a \u escape, and the escape that must follow if
// they are the first half of a surrogate pair.
func (d *Document) codePoint() (rune, bool) {
	r := d.hex4()
	if !utf16.IsSurrogate(r) {
		return r, true
	}
	if !bytes.HasPrefix(d.text[d.at:], []byte(`\u`)) {
		return 0, false
	}
	d.at += 2
	r = utf16.DecodeRune(r, d.hex4())
	return r, r != utf8.RuneError
}

// hex4 reads four hexadecimal digits, which json.Valid has seen.
func (d *Document) hex4() rune {
	v, _ := strconv.ParseUint(string(d.text[d.at:d.at+4]), 16, 32)
	d.at += 4
	return rune(v)
}

// DecodeBase64 appends what text stands for. It takes both alphabets of RFC 4648,
// with padding or without, and line ends between, but no stray bits after the last
// byte: they would be dropped.
func DecodeBase64(dst, text []byte) ([]byte, error) {
	text = bytes.TrimRight(text, "\r\n")
	encoding := base64.StdEncoding
	if bytes.IndexByte(text, '-') >= 0 || bytes.IndexByte(text, '_') >= 0 {
		encoding = base64.URLEncoding
	}
	if !bytes.HasSuffix(text, []byte("=")) {
		encoding = encoding.WithPadding(base64.NoPadding)
	}
	return encoding.Strict().AppendDecode(dst, text)
}

// FromBase64 appends what the text of a field stands for. Text that is far above
// the limit is not decoded, so that it costs no memory; what is near it is for
// whoever takes the bytes to judge.
func (d *Document) FromBase64(name string, dst, text []byte, limit int) ([]byte, error) {
	if len(text) > 2*limit+4 {
		return nil, tooLong(d.Field(name), name, limit)
	}
	out, err := DecodeBase64(dst, text)
	if err != nil {
		return nil, sheaf.Invalid(d.Field(name), "is not base64: %s", err)
	}
	return out, nil
}

func tooLong(field, name string, limit int) error {
	if name == "value_b64" {
		return sheaf.Errorf(sheaf.BatchTooLarge, "%s has more than the %d bytes that are allowed (limits.value_bytes)", field, limit)
	}
	return sheaf.Invalid(field, "has more than the %d bytes that are allowed", limit)
}
