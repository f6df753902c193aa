package cli

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sheafdb/sheaf"
)

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
		`{"key":"y","value":"v","type_url":"x/y"}`:       {Key: []byte("y"), Value: []byte("v"), TypeURL: "x/y"},
		` {"key":"\u00fc\ud83d\ude00","value":"\ufffd"}`: sheaf.Put("ü😀", "\ufffd"),
	} {
		got, err := parseEntry([]byte(line))
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
		`{"key":"a","vlaue":"1"}`:                              `unknown field "vlaue"`,
		`{"key":"a"}`:                                          "has neither value, value_b64 nor delete",
		`{"value":"a"}`:                                        "has no key",
		`{"key":"","value":"a"}`:                               "has no key",
		`{"key":"a","key_b64":"YQ==","value":"1"}`:             "has both key and key_b64",
		`{"key":"a","value":"1","delete":true}`:                "has both a value and delete",
		`{"key":"a","value_b64":"?"}`:                          "value_b64 is not base64",
		`{"key":"a","value":"1","ttl_ms":-1}`:                  "ttl_ms is -1",
		`{"key":"a","value":"1","ttl_ms":9223372036854775807}`: "ttl_ms is 9223372036854775807",
		`{"key":"a","value":"1","if_version":-1}`:              "if_version is -1",
		`{"key":"a","value":"1"} {}`:                           "something after the entry",
		`{"key":"a","value":"1"`:                               "ends within the JSON object",
		`[]`:                                                   "is a JSON array: write one JSON object per line",
		`{"key":7,"value":"1"}`:                                "key is a JSON number: it must be a string",
		`{"key":"a","delete":"yes"}`:                           "delete is a JSON string: it must be true or false",
		`{"key":"a","value":"1","ttl_ms":true}`:                "ttl_ms is a JSON bool: it must be a whole number",
		`{"key":"a",value:"1"}`:                                "is not an entry: invalid character 'v'",
		"{\"key\":\"\xff\",\"value\":\"\"}":                    "is not UTF-8",
		`{"key":"\ud800","value":""}`:                          "half of a surrogate pair in key",
	} {
		if _, err := parseEntry([]byte(line)); err == nil || !strings.Contains(err.Error(), want) {
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
		got, err := parseEntry(line)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if diff := cmp.Diff(sheaf.Entry{Key: key, Value: value, TypeURL: typeURL}, got, equalBytes); diff != "" {
			t.Errorf("%s (-want +got):\n%s", line, diff)
		}
	})
}
