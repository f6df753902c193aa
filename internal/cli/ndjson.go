package cli

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sheafdb/sheaf"
)

// entryLine is one line of NDJSON: an entry as the JSON API takes it. Lines of
// scan and export are entries too; their version is of no use to a write.
type entryLine struct {
	Key       *string     `json:"key"`
	KeyB64    *string     `json:"key_b64"`
	Value     *string     `json:"value"`
	ValueB64  *string     `json:"value_b64"`
	Delete    bool        `json:"delete"`
	TTLMS     json.Number `json:"ttl_ms"`
	IfVersion json.Number `json:"if_version"`
	TypeURL   string      `json:"type_url"`
	Version   json.Number `json:"version"`
}

// parseEntry reads one line.
func parseEntry(line []byte) (sheaf.Entry, error) {
	if !utf8.Valid(line) {
		return sheaf.Entry{}, errors.New("is not UTF-8: put such bytes into key_b64 or value_b64")
	}
	var l entryLine
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&l); err != nil {
		return sheaf.Entry{}, inWords(err)
	}
	if _, err := decoder.Token(); err != io.EOF {
		return sheaf.Entry{}, errors.New("has something after the entry: write one JSON object per line")
	}
	return l.entry(line)
}

// inWords says what encoding/json has against a line without the types of this program.
func inWords(err error) error {
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		if wrong.Field == "" {
			return fmt.Errorf("is a JSON %s: write one JSON object per line", wrong.Value)
		}
		form := "a string"
		switch wrong.Type {
		case reflect.TypeFor[bool]():
			form = "true or false"
		case reflect.TypeFor[json.Number]():
			form = "a whole number"
		}
		return fmt.Errorf("%s is a JSON %s: it must be %s", wrong.Field, wrong.Value, form)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("ends within the JSON object: write each on one line")
	}
	return fmt.Errorf("is not an entry: %s", strings.TrimPrefix(err.Error(), "json: "))
}

func (l entryLine) entry(line []byte) (sheaf.Entry, error) {
	e := sheaf.Entry{Delete: l.Delete, TypeURL: l.TypeURL}
	var err error
	if e.Key, err = oneOf("key", l.Key, l.KeyB64, line); err != nil {
		return e, err
	}
	if len(e.Key) == 0 {
		return e, errors.New("has no key: give it key or key_b64")
	}
	if e.Value, err = oneOf("value", l.Value, l.ValueB64, line); err != nil {
		return e, err
	}
	switch hasValue := l.Value != nil || l.ValueB64 != nil; {
	case hasValue && l.Delete:
		return e, errors.New("has both a value and delete: leave one out")
	case !hasValue && !l.Delete:
		return e, errors.New("has neither value, value_b64 nor delete")
	}
	if l.TTLMS != "" {
		ms, err := strconv.ParseInt(l.TTLMS.String(), 10, 64)
		if err != nil || ms < 0 || ms > math.MaxInt64/int64(time.Millisecond) {
			return e, fmt.Errorf("ttl_ms is %s: it must be a whole number of milliseconds, 0 or more", l.TTLMS)
		}
		e.TTL = time.Duration(ms) * time.Millisecond
	}
	if l.IfVersion != "" {
		v, err := strconv.ParseUint(l.IfVersion.String(), 10, 64)
		if err != nil {
			return e, fmt.Errorf("if_version is %s: it must be a version, or 0 for a key that must not exist", l.IfVersion)
		}
		e.IfVersion = &v
	}
	return e, nil
}

// oneOf is the bytes of a text field or of its base64 twin.
func oneOf(name string, text, b64 *string, line []byte) ([]byte, error) {
	switch {
	case text != nil && b64 != nil:
		return nil, fmt.Errorf("has both %s and %s_b64: leave one out", name, name)
	case text != nil && replaced(*text, line):
		return nil, fmt.Errorf("has half of a surrogate pair in %s: put such bytes into %s_b64", name, name)
	case text != nil:
		return []byte(*text), nil
	case b64 != nil:
		decoded, err := base64.StdEncoding.DecodeString(*b64)
		if err != nil {
			return nil, fmt.Errorf("%s_b64 is not base64: %w", name, err)
		}
		return decoded, nil
	}
	return nil, nil
}

// replaced reports whether encoding/json put U+FFFD where the line has half of a
// surrogate pair, which no UTF-8 can hold. Keeping that would change the data.
func replaced(text string, line []byte) bool {
	return strings.ContainsRune(text, utf8.RuneError) &&
		!bytes.ContainsRune(line, utf8.RuneError) &&
		!bytes.Contains(bytes.ToLower(line), []byte(`\ufffd`))
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

// lineOf writes a key that was found so that parseEntry reads it back.
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
