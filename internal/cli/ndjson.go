package cli

import (
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/document"
	"github.com/sheafdb/sheaf/internal/wire"
)

// entryLines reads lines that are entries, with the reader of the HTTP API. Lines of scan and export
// are entries too; their version is of no use to a write.
type entryLines struct {
	document.Entries
	one  wire.Entry
	room []byte // for the encoding of one
}

func newEntryLines() *entryLines {
	return &entryLines{Entries: document.Entries{Limits: usualLimits, Lines: true}}
}

// parse reads one line, which it changes, into e. What e views is the line's memory, or that of the
// next.
func (l *entryLines) parse(line []byte, e *sheaf.Entry) error {
	*e = sheaf.Entry{}
	d, err := document.New(line)
	if err != nil {
		return ofLine(err)
	}
	hasValue, err := l.Read(d, &l.one)
	switch {
	case err != nil:
		return ofLine(err)
	case hasValue && l.one.Delete:
		return errors.New("has both a value and delete: leave one out")
	case !hasValue && !l.one.Delete: // a field that was forgotten, rather than an empty value
		return errors.New("has neither value, value_b64 nor delete")
	}
	// What a node would refuse the whole batch for is said here, while the line is known.
	l.room = wire.AppendEntry(l.room[:0], &l.one)
	if _, err := wire.ParseBundle(l.room, usualLimits); err != nil {
		return ofLine(err)
	}
	e.Key, e.Value, e.Delete = l.one.Key, l.one.Value, l.one.Delete
	e.TTL, e.TypeURL = time.Duration(l.one.TTLMS)*time.Millisecond, string(l.one.TypeURL)
	if l.one.HasIfVersion {
		version := l.one.IfVersion
		e.IfVersion = &version
	}
	return nil
}

// ofLine says what is wrong as that of a line, and not of a body.
func ofLine(err error) error {
	if e, ok := errors.AsType[*sheaf.Error](err); ok {
		return errors.New(strings.TrimLeft(strings.TrimPrefix(strings.TrimPrefix(e.Detail, "body"), "entries[0]"), ".: "))
	}
	return err
}

// itemLine is one line of scan and export, and the envelope of get.
type itemLine struct {
	Key      *string `json:"key,omitempty"`
	KeyB64   *string `json:"key_b64,omitempty"`
	Value    *string `json:"value,omitempty"`
	ValueB64 *string `json:"value_b64,omitempty"`
	TypeURL  string  `json:"type_url,omitempty"`
	Version  string  `json:"version,omitempty"`
	Found    *bool   `json:"found,omitempty"`
}

// lineOf writes a key that was found so that entryLines reads it back.
func lineOf(item sheaf.Item) itemLine {
	l := itemLine{TypeURL: item.TypeURL, Version: strconv.FormatUint(item.Version, 10)}
	l.Key, l.KeyB64 = textOrB64(item.Key)
	l.Value, l.ValueB64 = textOrB64(item.Value)
	return l
}

// envelopeOf is an entry of the answer to getall.
func envelopeOf(item sheaf.Item) itemLine {
	l := lineOf(item)
	if !item.Found {
		l = itemLine{Key: l.Key, KeyB64: l.KeyB64}
	}
	l.Found = &item.Found
	return l
}

func textOrB64(b []byte) (text, b64 *string) {
	if utf8.Valid(b) {
		s := string(b)
		return &s, nil
	}
	s := base64.StdEncoding.EncodeToString(b)
	return nil, &s
}
