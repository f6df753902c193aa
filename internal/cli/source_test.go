package cli

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sheafdb/sheaf"
)

// told writes each record of a source as one line.
func told(from source) string {
	var b strings.Builder
	for rec, err := range from {
		switch {
		case err != nil:
			fmt.Fprintf(&b, "end: %v\n", err)
		case rec.bad != nil:
			fmt.Fprintf(&b, "%s bad: %v\n", rec.place(), rec.bad)
		default:
			fmt.Fprintf(&b, "%s %s = %s\n", rec.place(), rec.entry.Key, rec.entry.Value)
		}
	}
	return b.String()
}

func TestNDJSONGoesOnBehindABadLine(t *testing.T) {
	got := told(ndjsonSource(strings.NewReader("{\"key\":\"a\",\"value\":\"1\"}\n\n{}\n{\"key\":\"b\",\"value\":\"2\"}")))
	want := "line 1 a = 1\nline 3 bad: key: is missing: an entry has a key (or key_b64)\nline 4 b = 2\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWhatNoNodeTakesIsBadByItself(t *testing.T) {
	limits := sheaf.DefaultLimits()
	got := told(ndjsonSource(strings.NewReader(fmt.Sprintf(
		"{\"key\":%q,\"value\":\"\"}\n{\"key\":\"v\",\"value\":%q}\n",
		strings.Repeat("k", limits.KeyBytes+1), strings.Repeat("v", limits.ValueBytes+1)))))
	want := "line 1 bad: key: has 4097 bytes: at most 4096 are allowed\n" +
		"line 2 bad: value has 16777217 bytes: at most 16777216 are allowed\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCSV(t *testing.T) {
	for _, c := range []struct{ name, csv, key, value, want string }{
		{"the row is the value", "id,name\n1,\"A, \"\"B\"\"\"\n", "", "", `line 2 1 = {"id":"1","name":"A, \"B\""}` + "\n"},
		{"columns by name", "name,id\nA,1\nB,2\n", "id", "name", "line 2 1 = A\nline 3 2 = B\n"},
		{"a BOM and lines in a cell", "\ufeffid,n\r\n1,\"x\r\ny\"\r\n2,z\r\n", "id", "n", "line 2 1 = x\ny\nline 4 2 = z\n"},
		{"a BOM before a quote", "\ufeff\"id\",n\n1,a\n", "id", "n", "line 2 1 = a\n"},
		{"bytes in a row as JSON", "id,n\n1,\xff\n2,é\n", "", "", "line 2 bad: the column \"n\" is not UTF-8, which a row as JSON must be: convert the file, or take one column as it is with --value-column\n" + `line 3 2 = {"id":"2","n":"é"}` + "\n"},
		{"bytes in a column", "id,n\n1,\xff\n", "", "n", "line 2 1 = \xff\n"},
		{"lines that end in CR", "id,n\r1,a\r", "", "", "end: the column \"n\\r1\" has a carriage return in its name: lines must end in LF or CR LF\n"},
		{"a row too short", "id,n\n1\n2,b\n", "", "n", "line 2 bad: has 1 fields, and the header names 2\nline 3 2 = b\n"},
		{"a quote that is not closed", "id,n\n1,a\n2,\"b\n3,c\n4,d\n", "", "n", "line 2 1 = a\nend: read CSV: line 3: a quote is opened here and not closed before the end of the file\n"},
		{"a quote in the last line", "id,n\n1,a\n2,\"b\r\n", "", "n", "line 2 1 = a\nend: read CSV: line 3: a quote is opened here and not closed before the end of the file\n"},
		{"a quote that is closed", "id,n\n1,a\n2,\"b\nc\"x\n", "", "n", "line 2 1 = a\nline 3 bad: extraneous or missing \" in quoted-field\n"},
		{"no key", "id,n\n,b\n", "", "n", "line 2 bad: the key is empty\n"},
		{"an empty file", "", "", "", "end: the CSV is empty: its first row must name the columns\n"},
		{"no such column", "id,n\n1,2\n", "x", "", "end: --key-column: there is no column \"x\" among [\"id\" \"n\"]\n"},
		{"one name twice", "id,id\n1,2\n", "", "", "end: two columns are named \"id\": rename one\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, told(csvSource(strings.NewReader(c.csv), c.key, c.value))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestPrefixCountsForTheLimitOfAKey(t *testing.T) {
	from := ndjsonSource(strings.NewReader(`{"key":"` + strings.Repeat("k", 4096) + `","value":""}`))
	if got := told(prefixed(from, "p/")); !strings.Contains(got, "the key has 4098 bytes") {
		t.Errorf("got %s", got)
	}
}
