package contract

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sheafdb/sheaf"
)

// TestScansAreInOrder: keys in the order of their bytes, from start, at most limit.
func TestScansAreInOrder(t *testing.T) {
	all := []string{"\x00", "\x00\x00", "a", "a\x00", "a\x7f", "a\xc3\xa9", "a\xff", "aa", "b", "\xff", "\xff\xff"}
	for _, store := range []string{"pebble", "memory"} {
		eachFace(t, sharedNode(t, store), func(t *testing.T, f face) {
			prefix := t.Name() + "/"
			var entries []sheaf.Entry
			for _, key := range slices.Backward(all) {
				entries = append(entries, sheaf.Put(prefix+key, key))
			}
			wrote := must(t, f, call{id: prefix, entries: append(entries, sheaf.Put(t.Name()+"0", "outside"), sheaf.Put(prefix+"gone", ""))})
			must(t, f, call{op: deleteKey, keys: []string{prefix + "gone"}})

			sorted := slices.Sorted(slices.Values(all))
			expect := func(c call, want ...string) {
				t.Helper()
				c.op = scan
				got := must(t, f, c)
				var keys []string
				for _, i := range got.items {
					keys = append(keys, strings.TrimPrefix(i.key, prefix))
					if i.version != wrote.version || prefix+i.value != i.key {
						t.Errorf("a scan returns %+v of a batch with version %d", i, wrote.version)
					}
				}
				if diff := cmp.Diff(want, keys); diff != "" {
					t.Errorf("scan %+v (-want +got):\n%s", c, diff)
				}
				if got.token == "" {
					t.Errorf("scan %+v tells no watch token", c)
				}
			}
			expect(call{keys: []string{prefix}}, sorted...)
			expect(call{keys: []string{prefix}, limit: 3}, sorted[:3]...)
			expect(call{keys: []string{prefix}, limit: uint64(len(all) + 1)}, sorted...)
			expect(call{keys: []string{prefix + "a"}}, "a", "a\x00", "aa", "a\x7f", "a\xc3\xa9", "a\xff")
			expect(call{keys: []string{prefix + "\xff"}}, "\xff", "\xff\xff")
			expect(call{keys: []string{prefix + "nothing"}})
			expect(call{keys: []string{prefix}, start: prefix + "aa"}, "aa", "a\x7f", "a\xc3\xa9", "a\xff", "b", "\xff", "\xff\xff")
			expect(call{keys: []string{prefix}, start: prefix + "c"}, "\xff", "\xff\xff")
			expect(call{keys: []string{prefix}, start: "\x00"}, sorted...)
			expect(call{keys: []string{prefix}, start: "\xff\xff\xff"})
			// To resume: the last key received plus a zero byte.
			expect(call{keys: []string{prefix}, start: prefix + sorted[4] + "\x00", limit: 2}, sorted[5:7]...)
		})
	}
}

// TestLongScansAreWhole pages through more keys than one page of either face holds.
func TestLongScansAreWhole(t *testing.T) {
	eachFace(t, sharedNode(t, "memory"), func(t *testing.T, f face) {
		entries := numbered(t.Name(), 5000)
		must(t, f, call{id: t.Name(), entries: entries})
		got := must(t, f, call{op: scan, keys: []string{t.Name()}})
		keys := make([]string, len(got.items))
		for i := range keys {
			keys[i] = got.items[i].key
		}
		if diff := cmp.Diff(keysOf(entries), keys); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
}

// TestScanLines: NDJSON, one object with exactly key, value and version per line.
func TestScanLines(t *testing.T) {
	f := httpFace{sharedNode(t, "pebble")}
	k := t.Name()
	v := must(t, f, call{id: k, entries: []sheaf.Entry{sheaf.Put(k+"a", "1"), sheaf.Put(k+"b\xff", "\xff")}}).version
	want := []string{
		fmt.Sprintf(`{"key":"%sa","value":"1","version":"%d"}`, k, v),
		fmt.Sprintf(`{"key_b64":"%s","value_b64":"/w==","version":"%d"}`, b64(k+"b\xff"), v),
	}
	for _, query := range []string{"prefix=" + k, "prefix_b64=" + b64(k), "prefix=" + k + "&start=" + k + "a&limit=2"} {
		resp := f.send(t, "GET", "/v1/scan?"+query, nil)
		answered(t, resp, http.StatusOK)
		lines := slices.Collect(bytes.Lines(resp.body))
		if len(lines) != len(want) || resp.Header.Get("Content-Type") != "application/x-ndjson" {
			t.Fatalf("%s: %s with Content-Type %q", query, resp.body, resp.Header.Get("Content-Type"))
		}
		for i, line := range lines {
			sameJSON(t, "a line of a scan", line, want[i])
		}
	}
}
