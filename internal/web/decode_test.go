package web

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/wire"
)

// TestPutAllRefusesWhatItCannotKeep has the bodies that a story cannot hold;
// testdata/stories/malformed.txt has the others.
func TestPutAllRefusesWhatItCannotKeep(t *testing.T) {
	limits := sheaf.DefaultLimits()
	limits.BatchEntries, limits.BatchBytes, limits.KeyBytes, limits.ValueBytes = 3, 4<<10, 8, 1<<10
	b64 := func(n int) string { return base64.StdEncoding.EncodeToString(make([]byte, n)) }
	for _, row := range []struct {
		name, body string
		code       sheaf.Code
		detail     string // a part of it
	}{
		{"invalid UTF-8 in a value", `{"entries":[{"key":"a","value":"` + "\xff" + `"}]}`, sheaf.InvalidBatch, "body: is not UTF-8"},
		{"a surrogate in UTF-8", `{"entries":[{"key":"a","value":"` + "\xed\xa0\x80" + `"}]}`, sheaf.InvalidBatch, "body: is not UTF-8"},
		{"a byte order mark", "\xef\xbb\xbf" + `{"entries":[{"key":"a"}]}`, sheaf.InvalidBatch, "body: is not JSON"},
		{"a raw control character", "{\"entries\":[{\"key\":\"a\nb\"}]}", sheaf.InvalidBatch, "body: is not JSON"},
		{"nesting", strings.Repeat("[", 1<<20), sheaf.InvalidBatch, "body: is not JSON"},
		{"nesting that is closed", `{"entries":` + strings.Repeat("[", 9000) + strings.Repeat("]", 9000) + `}`, sheaf.InvalidBatch, "entries[0]: is an array"},
		{"a lone surrogate in a field's name", `{"\ud800":1}`, sheaf.InvalidBatch, "half of a surrogate pair"},
		{"two first halves", `{"entries":[{"key":"\ud800\ud800"}]}`, sheaf.InvalidBatch, "entries[0].key: has half of a surrogate pair"},
		{"a first half at the end", `{"entries":[{"key":"\ud800"}]}`, sheaf.InvalidBatch, "entries[0].key: has half of a surrogate pair"},
		{"a long unknown field", `{"` + strings.Repeat("x", 1000) + `":1}`, sheaf.InvalidBatch, strings.Repeat("x", 64) + "…: is not"},
		{"null twice", `{"after":null,"after":null}`, sheaf.InvalidBatch, "after: is given twice"},
		{"an unknown null", `{"afters":null}`, sheaf.InvalidBatch, "afters: is not a known field"},
		{"too many entries", `{"entries":[{"key":"1"},{"key":"2"},{"key":"3"},{"key":"4"}]}`, sheaf.BatchTooLarge, "limits.batch_entries"},
		{"a long key", `{"entries":[{"key":"123456789"}]}`, sheaf.InvalidBatch, "entries[0].key: has 9 bytes"},
		{"a long key in base64", `{"entries":[{"key_b64":"` + b64(9) + `"}]}`, sheaf.InvalidBatch, "entries[0].key: has 9 bytes"},
		{"a far too long key in base64", `{"entries":[{"key_b64":"` + b64(900) + `"}]}`, sheaf.InvalidBatch, "entries[0].key_b64: has more than the 8"},
		{"a large value", `{"entries":[{"key":"a","value":"` + strings.Repeat("v", 1025) + `"}]}`, sheaf.BatchTooLarge, "entries[0].value has 1025 bytes"},
		{"a far too large value in base64", `{"entries":[{"key":"a","value_b64":"` + b64(1<<20) + `"}]}`, sheaf.BatchTooLarge, "entries[0].value_b64 has more than"},
		{"too many bytes", `{"entries":[{"key":"a","value":"` + strings.Repeat("v", 5<<10) + `"}]}`, sheaf.BatchTooLarge, "limits.batch_bytes"},
		{"a long type_url", `{"entries":[{"key":"a","type_url":"` + strings.Repeat("t", wire.MaxTypeURLBytes+1) + `"}]}`, sheaf.InvalidBatch, "entries[0].type_url"},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, err := decodePutAll([]byte(row.body), limits)
			e := sheaf.AsError(err)
			if e == nil || e.Code != row.code || !strings.Contains(e.Detail, row.detail) {
				t.Errorf("got %v, want %s: …%s…", err, row.code, row.detail)
			}
		})
	}
}

func TestPutAllDecodesEveryEscape(t *testing.T) {
	limits := sheaf.DefaultLimits()
	for text, want := range map[string]string{
		`plain`:                        "plain",
		`\"\\\/\b\f\n\r\t`:             "\"\\/\b\f\n\r\t",
		`\u0000\u007f\u0080\u07ff`:     "\x00\x7f\u0080\u07ff",
		`\u0800\uffff\uFFFD\u20aC`:     "\u0800\uffff\ufffd\u20ac",
		`\ud83d\ude00\uD834\uDD1E|`:    "😀𝄞|",
		"ü\\u00fc😀\\ud83d\\ude00ü end": "üü😀😀ü end",
	} {
		req, err := decodePutAll(fmt.Appendf(nil, `{"entries":[{"key":"%s","value":"%[1]s"},{"key":"next","value":"\u0041"}]}`, text), limits)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		var got []string
		for _, entry := range req.Entries.All() {
			got = append(got, string(entry.Key), string(entry.Value))
		}
		if diff := cmp.Diff([]string{want, want, "next", "A"}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
}

func BenchmarkDecodePutAll(b *testing.B) {
	for _, shape := range []struct{ entries, value int }{{1000, 128}, {100_000, 128}, {4, 15 << 20}} {
		for _, field := range []string{"value", "value_b64"} {
			b.Run(fmt.Sprintf("entries=%d/%s=%dB", shape.entries, field, shape.value), func(b *testing.B) {
				value := strings.Repeat("v", shape.value)
				if field == "value_b64" {
					value = base64.StdEncoding.EncodeToString([]byte(value))
				}
				body := []byte(`{"entries":[`)
				for i := range shape.entries {
					if i > 0 {
						body = append(body, ',')
					}
					body = fmt.Appendf(body, `{"key":"key-%028d","%s":"%s"}`, i, field, value)
				}
				body = append(body, `]}`...)
				b.SetBytes(int64(len(body)))
				b.ReportAllocs()
				for b.Loop() { // nothing in it has an escape, so it stays as it is
					if _, err := decodePutAll(body, sheaf.DefaultLimits()); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
