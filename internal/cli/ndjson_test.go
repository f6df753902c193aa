package cli

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sheafdb/sheaf"
)

func parseLine(line string) (e sheaf.Entry, err error) {
	err = newEntryLines().parse([]byte(line), &e)
	return e, err
}

func TestParseEntryTakesEveryFormOfTheAPI(t *testing.T) {
	for line, want := range map[string]sheaf.Entry{
		`{"key":"a","value":"1"}`:                        sheaf.Put("a", "1"),
		`{"key":"a","value":""}`:                         sheaf.Put("a", ""),
		`{"key_b64":"AAE=","value_b64":"//8="}`:          sheaf.Put("\x00\x01", "\xff\xff"),
		`{"key":"old","delete":true}`:                    sheaf.Delete("old"),
		`{"key":"t","value":"x","ttl_ms":60000}`:         sheaf.Put("t", "x").WithTTL(time.Minute),
		`{"key":"t","value":"x","ttl_ms":"60000"}`:       sheaf.Put("t", "x").WithTTL(time.Minute),
		`{"key":"c","value":"2","if_version":"17"}`:      sheaf.Put("c", "2").OnlyIfVersion(17),
		`{"key":"c","delete":true,"if_version":0}`:       sheaf.Delete("c").OnlyIfVersion(0),
		`{"key":"c","value":"2","version":"17"}`:         sheaf.Put("c", "2"),
		`{"key":"u","value_b64":"-_8","delete":null}`:    sheaf.Put("u", "\xfb\xff"),
		`{"key":"y","value":"v","type_url":"x/y"}`:       {Key: []byte("y"), Value: []byte("v"), TypeURL: "x/y"},
		` {"key":"\u00fc\ud83d\ude00","value":"\ufffd"}`: sheaf.Put("ü😀", "\ufffd"),
	} {
		got, err := parseLine(line)
		if err != nil {
			t.Errorf("%s: %v", line, err)
			continue
		}
		if diff := cmp.Diff(want, got, equalBytes); diff != "" {
			t.Errorf("%s (-want +got):\n%s", line, diff)
		}
	}
}

// equalBytes takes nil for empty.
var equalBytes = cmp.Comparer(func(a, b []byte) bool { return string(a) == string(b) })

func TestParseEntryRefuses(t *testing.T) {
	for line, want := range map[string]string{
		`{"key":"a","vlaue":"1"}`:                                               "vlaue: is not a known field: there are key, key_b64",
		`{"key":"a"}`:                                                           "has neither value, value_b64 nor delete",
		`{"value":"a"}`:                                                         "key: is missing",
		`{"key":"a","value":"1","value":"2"}`:                                   "value: is given twice",
		`{"Key":"a","value":"1"}`:                                               "Key: is not a known field",
		`{"key":"a","key_b64":"YQ==","value":"1"}`:                              "key_b64: stands beside key",
		`{"key":"a","value":"1","delete":true}`:                                 "has both a value and delete",
		`{"key":"a","value_b64":"?"}`:                                           "value_b64: is not base64",
		`{"key":"a","value":"1","ttl_ms":-1}`:                                   "ttl_ms: is -1: it must not be negative",
		`{"key":"a","value":"1","ttl_ms":9223372036854775807}`:                  "ttl_ms: is 9223372036854775807: at most",
		`{"key":"a","value":"1","if_version":-1}`:                               `if_version: is "-1"`,
		`{"key":"a","delete":true,"ttl_ms":5}`:                                  "is a delete with a ttl_ms",
		`{"key":"a","value":"","type_url":"` + strings.Repeat("t", 1025) + `"}`: "type_url: has 1025 bytes",
		`{"key":"a","value":"1"} {}`:                                            "is not JSON: invalid character",
		`{"key":"a","value":"1"`:                                                "is not JSON: unexpected end",
		`[]`:                                                                    "is an array: it must be an object",
		`{"key":7,"value":"1"}`:                                                 "key: is a number: it must be a string",
		`{"key":"a","delete":"yes"}`:                                            "delete: is a string: it must be true or false",
		`{"key":"a","value":"1","ttl_ms":true}`:                                 "ttl_ms: is true: it must be an integer",
		`{"key":"a",value:"1"}`:                                                 "is not JSON: invalid character 'v'",
		"{\"key\":\"\xff\",\"value\":\"\"}":                                     "is not UTF-8",
		`{"key":"\ud800","value":""}`:                                           "key: has half of a surrogate pair",
	} {
		if _, err := parseLine(line); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", line, err, want)
		}
	}
}

func FuzzWhatScanWritesImportReads(f *testing.F) {
	f.Add([]byte("key"), []byte("value"), "", uint64(1))
	f.Add([]byte("\xff\x00"), []byte("\xed\xa0\x80"), "type.googleapis.com/x.Y", uint64(1<<63))
	f.Add([]byte("\ufffd<&>\u2028"), []byte(""), "", uint64(0))
	f.Fuzz(func(t *testing.T, key, value []byte, typeURL string, version uint64) {
		typeURL = strings.ToValidUTF8(typeURL, "") // the API takes no other
		if len(key) == 0 {
			return
		}
		line, err := json.Marshal(lineOf(sheaf.Item{Key: key, Value: value, TypeURL: typeURL, Version: version, Found: true}))
		if err != nil {
			t.Fatal(err)
		}
		got, err := parseLine(string(line))
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if diff := cmp.Diff(sheaf.Entry{Key: key, Value: value, TypeURL: typeURL}, got, equalBytes); diff != "" {
			t.Errorf("%s (-want +got):\n%s", line, diff)
		}
	})
}
