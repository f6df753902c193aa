package web

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/document"
)

// plainEntry and plainPutAll are how encoding/json reads a body.
type plainEntry struct {
	Key       *string     `json:"key"`
	KeyB64    *string     `json:"key_b64"`
	Value     *string     `json:"value"`
	ValueB64  *string     `json:"value_b64"`
	Delete    bool        `json:"delete"`
	TTLMS     looseNumber `json:"ttl_ms"`
	IfVersion looseNumber `json:"if_version"`
	TypeURL   string      `json:"type_url"`
}

type plainPutAll struct {
	RequestID   string       `json:"request_id"`
	Entries     []plainEntry `json:"entries"`
	Consistency string       `json:"consistency"`
	IfMatch     string       `json:"if_match"`
	IfNoneMatch string       `json:"if_none_match"`
	After       looseNumber  `json:"after"`
}

// looseNumber is the text of a number or a string.
type looseNumber string

func (n *looseNumber) UnmarshalJSON(text []byte) error {
	if string(text) == "null" {
		return nil
	}
	if text[0] != '"' {
		*n = looseNumber(text)
		return nil
	}
	var s string
	err := json.Unmarshal(text, &s)
	*n = looseNumber(s)
	return err
}

// flatEntry is an entry in a form that both readers can be brought to.
type flatEntry struct {
	Key, Value, TypeURL string
	Delete              bool
	TTLMS               int64
	IfVersion           string
}

// FuzzPutAllJSON: no body makes the decoder panic, and what it accepts means the
// same to encoding/json.
func FuzzPutAllJSON(f *testing.F) {
	f.Add([]byte(`{"entries":[{"key":"a","value":"1"},{"key_b64":"AAE=","value_b64":"//8="},{"key":"old","delete":true}]}`))
	f.Add([]byte(`{"request_id":"r","consistency":"eventual","after":"7","entries":[{"key":"\ud83d\ude00\n","value":"\\","ttl_ms":60000,"if_version":"17","type_url":"t/T"}]}`))
	f.Add([]byte(`{"entries":[{"key":"\ud83d"}]}`))
	f.Add([]byte(` { "entries" : [ { "key" : "a" , "value" : null } ] , "if_match" : "\"x\"" } `))
	f.Fuzz(func(t *testing.T, body []byte) {
		limits := sheaf.DefaultLimits()
		req, err := decodePutAll(bytes.Clone(body), limits) // it changes its body
		if err != nil {
			if e := sheaf.AsError(err); e.Code != sheaf.InvalidBatch && e.Code != sheaf.BatchTooLarge {
				t.Fatalf("a body can only be malformed or too large: %v", err)
			}
			return
		}
		if size := int64(len(req.Entries.Raw())); size > decodeCostBytes(body, limits) {
			t.Fatalf("%d bytes of entries, but only %d were counted for them", size, decodeCostBytes(body, limits))
		}
		var plain plainPutAll
		if err := json.Unmarshal(body, &plain); err != nil {
			t.Fatalf("encoding/json refuses what was accepted: %v", err)
		}
		var got []flatEntry
		for _, e := range req.Entries.All() {
			flat := flatEntry{Key: string(e.Key), Value: string(e.Value), TypeURL: string(e.TypeURL), Delete: e.Delete, TTLMS: e.TTLMS}
			if e.HasIfVersion {
				flat.IfVersion = strconv.FormatUint(e.IfVersion, 10)
			}
			got = append(got, flat)
		}
		var want []flatEntry
		for _, e := range plain.Entries {
			want = append(want, flatEntry{
				Key: either(t, e.Key, e.KeyB64), Value: either(t, e.Value, e.ValueB64), TypeURL: e.TypeURL,
				Delete: e.Delete, TTLMS: number(t, e.TTLMS), IfVersion: canonical(t, e.IfVersion),
			})
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("entries (-encoding/json +decoder):\n%s", diff)
		}
		envelope := []string{req.RequestID, req.IfMatch, req.IfNoneMatch, req.Consistency.String(), strconv.FormatUint(req.After, 10)}
		level, _ := sheaf.ParseConsistency(plain.Consistency)
		after := canonical(t, plain.After)
		if after == "" {
			after = "0"
		}
		if diff := cmp.Diff([]string{plain.RequestID, plain.IfMatch, plain.IfNoneMatch, level.String(), after}, envelope); diff != "" {
			t.Errorf("envelope (-encoding/json +decoder):\n%s", diff)
		}
	})
}

func either(t *testing.T, text, encoded *string) string {
	switch {
	case text != nil:
		return *text
	case encoded == nil:
		return ""
	}
	// The alphabets differ in two characters; padding and line ends mean nothing.
	plain := strings.NewReplacer("-", "+", "_", "/", "=", "", "\n", "", "\r", "").Replace(*encoded)
	out, err := base64.RawStdEncoding.DecodeString(plain)
	if err != nil {
		t.Fatalf("accepted as base64: %q: %v", *encoded, err)
	}
	return string(out)
}

func number(t *testing.T, text looseNumber) int64 {
	if text == "" {
		return 0
	}
	v, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil {
		t.Fatalf("accepted as an integer: %q", text)
	}
	return v
}

func canonical(t *testing.T, text looseNumber) string {
	if text == "" {
		return ""
	}
	v, err := strconv.ParseUint(string(text), 10, 64)
	if err != nil {
		t.Fatalf("accepted as an integer: %q", text)
	}
	return strconv.FormatUint(v, 10)
}

// FuzzString: what is written as a JSON string is read back as it was.
func FuzzString(f *testing.F) {
	f.Add("plain")
	f.Add("\x00\x1f\"\\\n\t<&>\u2028😀\x7f")
	f.Fuzz(func(t *testing.T, text string) {
		text = strings.ToValidUTF8(text, "?")
		encoded := appendString(nil, text)
		var back string
		if err := json.Unmarshal(encoded, &back); err != nil || back != text {
			t.Fatalf("%q was written as %s and read as %q, %v", text, encoded, back, err)
		}
		d, err := document.New(encoded)
		if err != nil {
			t.Fatal(err)
		}
		if own, err := d.Text("s"); err != nil || string(own) != text {
			t.Fatalf("%q was read as %q, %v", text, own, err)
		}
	})
}
