package web

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sheafdb/sheaf"
)

// importLine is one line of an answer.
type importLine struct {
	Batch    int        `json:"batch"`
	Entries  int        `json:"entries"`
	Version  string     `json:"version"`
	ETag     sheaf.ETag `json:"etag"`
	Replayed bool       `json:"replayed"`
	Accepted bool       `json:"accepted"`
	Error    *problem   `json:"error"`
	Done     bool       `json:"done"`
	Batches  int        `json:"batches"`
	Failed   int        `json:"failed"`
}

// told is the answer to an import in a few words a line.
func (r *rig) imported(t *testing.T, query, body string, headers ...string) string {
	t.Helper()
	got := r.do(t, "POST", "/v1/import"+query, body, headers...)
	if got.StatusCode != http.StatusOK || got.Header.Get("Content-Type") != scanFormat {
		t.Fatalf("%d %s: %s", got.StatusCode, got.Header.Get("Content-Type"), got.body)
	}
	return importWords(t, got.body)
}

func importWords(t *testing.T, body string) string {
	t.Helper()
	var words strings.Builder
	for text := range strings.Lines(body) {
		line, err := parseImportLine(text)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case line.Done:
			fmt.Fprintf(&words, "done: %d batches, %d entries, %d failed\n", line.Batches, line.Entries, line.Failed)
		case line.Error != nil:
			fmt.Fprintf(&words, "%d: %s: %s\n", line.Batch, line.Error.Reason, line.Error.Detail)
		case line.Accepted:
			fmt.Fprintf(&words, "%d: %d accepted\n", line.Batch, line.Entries)
		default:
			if line.Version == "" || line.ETag == "" {
				t.Errorf("no version or ETag: %s", text)
			}
			fmt.Fprintf(&words, "%d: %d entries, replayed %v\n", line.Batch, line.Entries, line.Replayed)
		}
	}
	return words.String()
}

func parseImportLine(text string) (line importLine, err error) {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	if err = decoder.Decode(&line); err != nil {
		err = fmt.Errorf("%w: %s", err, text)
	}
	return line, err
}

func numberedLines(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "{\"key\":\"k%d\",\"value\":\"%d\"}\n", i, i)
	}
	return b.String()
}

func TestAnImportWritesABatchForSoManyLines(t *testing.T) {
	r := newRig(t, nil)
	want := "0: 1000 entries, replayed false\n1: 1000 entries, replayed false\n2: 500 entries, replayed false\ndone: 3 batches, 2500 entries, 0 failed\n"
	if diff := cmp.Diff(want, r.imported(t, "", numberedLines(2500), "Idempotency-Key", "one")); diff != "" {
		t.Error(diff)
	}
	if got := r.do(t, "GET", "/v1/keys/k2499", ""); got.body != "2499" {
		t.Errorf("k2499: %s", got.body)
	}
	// The same import again applies nothing.
	before, _ := r.version(t, "k0")
	if got := r.imported(t, "", numberedLines(2500), "Idempotency-Key", "one"); strings.Count(got, "replayed true") != 3 {
		t.Errorf("again: %s", got)
	}
	if after, _ := r.version(t, "k0"); after != before {
		t.Errorf("version %s became %s", before, after)
	}
	want = "0: 2 entries, replayed false\n1: 1 entries, replayed false\ndone: 2 batches, 3 entries, 0 failed\n"
	if diff := cmp.Diff(want, r.imported(t, "?batch=2&consistency=sequential", numberedLines(3), "X-Request-ID", "two")); diff != "" {
		t.Error(diff)
	}
	if got := r.imported(t, "?consistency=eventual", numberedLines(3), "Idempotency-Key", "three"); !strings.Contains(got, "0: 3 accepted") {
		t.Errorf("eventual: %s", got)
	}
}

func (r *rig) version(t *testing.T, key string) (version, value string) {
	t.Helper()
	got := r.do(t, "GET", "/v1/keys/"+key, "")
	return got.Header.Get(versionHeader), got.body
}

func TestAnImportNamesTheLineThatIsWrong(t *testing.T) {
	r := newRig(t, nil)
	for i, c := range []struct{ name, bad, want string }{
		{"no JSON", `{"key":"x"`, "2: INVALID_BATCH: line 6: body: is not JSON: unexpected end of JSON input (after 10 bytes)"},
		{"no key", `{"value":"x"}`, "2: INVALID_BATCH: line 6: key: is missing: an entry has a key (or key_b64)"},
		{"unknown field", `{"key":"x","vlaue":"1"}`, "2: INVALID_BATCH: line 6: vlaue: is not a known field"},
		{"two on a line", `{"key":"x","value":"1"} {"key":"y","value":"1"}`, "2: INVALID_BATCH: line 6: body: is not JSON"},
		{"not UTF-8", "{\"key\":\"\xff\"}", "2: INVALID_BATCH: line 6: body: is not UTF-8"},
		{"negative ttl_ms", `{"key":"x","ttl_ms":-5}`, "2: INVALID_BATCH: line 6: ttl_ms: is -5"},
		{"empty key", `{"key":"","value":"x"}`, "2: INVALID_BATCH: line 6: key: is empty"},
		{"long key", `{"key":"` + strings.Repeat("x", r.limits.KeyBytes+1) + `"}`, "2: INVALID_BATCH: line 6: key: has "},
		{"large value", `{"key":"x","value":"` + strings.Repeat("x", r.limits.ValueBytes+1) + `"}`, "2: BATCH_TOO_LARGE: line 6: value has "},
		{"delete with a ttl_ms", `{"key":"x","delete":true,"ttl_ms":5}`, "2: INVALID_BATCH: line 6: is a delete with"},
	} {
		t.Run(c.name, func(t *testing.T) {
			// The empty line counts, as in an editor.
			body := numberedLines(4) + "\n" + c.bad + "\n" + numberedLines(1)
			got := r.imported(t, "?batch=2", body, "Idempotency-Key", fmt.Sprint("bad-", i))
			lines := strings.Split(strings.TrimSpace(got), "\n")
			if len(lines) != 4 || lines[1] != "1: 2 entries, replayed false" || !strings.HasPrefix(lines[2], c.want) || lines[3] != "done: 3 batches, 4 entries, 1 failed" {
				t.Errorf("got\n%s", got)
			}
		})
	}
}

func TestAnImportThatCannotBeginSaysWhy(t *testing.T) {
	r := newRig(t, nil)
	for _, c := range []struct {
		query, header, value string
		status               int
		reason               sheaf.Code
	}{
		{"", "X-Other", "x", 400, sheaf.RequestIDRequired},
		{"?batch=0", "Idempotency-Key", "x", 400, sheaf.InvalidBatch},
		{"?batch=100001", "Idempotency-Key", "x", 400, sheaf.InvalidBatch},
		{"?bacth=1", "Idempotency-Key", "x", 400, sheaf.InvalidBatch},
		{"?consistency=strong", "Idempotency-Key", "x", 400, sheaf.InvalidBatch},
		{"", "Idempotency-Key", strings.Repeat("x", 120), 400, sheaf.InvalidBatch},
	} {
		got := r.do(t, "POST", "/v1/import"+c.query, numberedLines(1), c.header, c.value)
		if got.StatusCode != c.status || !strings.Contains(got.body, `"reason":"`+string(c.reason)+`"`) {
			t.Errorf("%s %s: %d %s", c.query, c.value, got.StatusCode, got.body)
		}
	}
	if got := r.do(t, "POST", "/v1/import", numberedLines(1), "Idempotency-Key", "x", "Content-Type", "text/csv"); got.StatusCode != 415 {
		t.Errorf("CSV: %d %s", got.StatusCode, got.body)
	}
	if got := r.do(t, "POST", "/v1/import", numberedLines(1), "Idempotency-Key", "x", "If-Match", `"x"`); got.StatusCode != 400 {
		t.Errorf("a condition: %d %s", got.StatusCode, got.body)
	}
	if got := r.do(t, "GET", "/v1/import", ""); got.StatusCode != 405 {
		t.Errorf("GET: %d", got.StatusCode)
	}
}

func TestOfTwoLinesForOneKeyTheLaterWins(t *testing.T) {
	r := newRig(t, nil)
	body := `{"key":"k","value":"1"}` + "\n" + `{"key":"k","value":"2"}` + "\n" + `{"key":"other","delete":true}` + "\n" + `{"key":"k","value":"3"}`
	want := "0: 1 entries, replayed false\n1: 2 entries, replayed false\n2: 1 entries, replayed false\ndone: 3 batches, 4 entries, 0 failed\n"
	if diff := cmp.Diff(want, r.imported(t, "", body, "Idempotency-Key", "later")); diff != "" {
		t.Error(diff)
	}
	if _, value := r.version(t, "k"); value != "3" {
		t.Errorf("k is %s", value)
	}
	for i := range 10 { // with many batches at work
		var many strings.Builder
		for n := range 40 {
			fmt.Fprintf(&many, "{\"key\":\"k\",\"value\":\"%d\"}\n", n)
		}
		r.imported(t, "?batch=1", many.String(), "Idempotency-Key", fmt.Sprint("later-", i))
		if _, value := r.version(t, "k"); value != "39" {
			t.Fatalf("k is %s", value)
		}
	}
}

func TestWhatAScanWritesAnImportReads(t *testing.T) {
	r := newRig(t, nil)
	r.imported(t, "", `{"key":"a","value":"\u00fc"}`+"\n"+`{"key_b64":"/w==","value_b64":"/wD+"}`+"\n"+`{"key":"typed","value":"x","type_url":"x/y"}`, "Idempotency-Key", "first")
	before := r.do(t, "GET", "/v1/scan", "").body
	if got := r.imported(t, "", before, "Idempotency-Key", "second"); !strings.Contains(got, "done: 1 batches, 3 entries, 0 failed") {
		t.Error(got)
	}
	var fields []string
	for text := range strings.Lines(r.do(t, "GET", "/v1/scan", "").body) {
		fields = append(fields, text[:strings.Index(text, `,"version"`)])
	}
	var want []string
	for text := range strings.Lines(before) {
		want = append(want, text[:strings.Index(text, `,"version"`)])
	}
	if diff := cmp.Diff(want, fields); diff != "" {
		t.Error(diff)
	}
}

func TestAnswersComeWhileTheBodyIsSent(t *testing.T) {
	r := newRig(t, nil)
	im := r.begin(t, "/v1/import?batch=1", `{"key":"a","value":"1"}`+"\n"+`{"key":"b"`)
	im.hear(`"batch":0`)
	im.say(`,"value":"2"}` + "\n")
	im.hear(`"batch":1`)
	_ = im.feed.Close()
	im.hear(`"done":true,"batches":2`)
}

// importer is an import whose body is sent piece by piece.
type importer struct {
	t     *testing.T
	feed  *io.PipeWriter
	lines *bufio.Scanner
}

func (r *rig) begin(t *testing.T, path, first string) *importer {
	t.Helper()
	body, feed := io.Pipe()
	req, err := http.NewRequest("POST", r.URL+path, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Idempotency-Key", t.Name())
	go func() { _, _ = feed.Write([]byte(first)) }()
	resp, err := r.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = feed.Close()
		_ = resp.Body.Close()
	})
	return &importer{t, feed, bufio.NewScanner(resp.Body)}
}

// hear returns the next line of the answer, which must have this in it.
func (im *importer) hear(part string) {
	im.t.Helper()
	if !im.lines.Scan() || !strings.Contains(im.lines.Text(), part) {
		im.t.Fatalf("%s (%v), want %s", im.lines.Text(), im.lines.Err(), part)
	}
}

func (im *importer) say(text string) {
	im.t.Helper()
	if _, err := im.feed.Write([]byte(text)); err != nil {
		im.t.Fatal(err)
	}
}

// TestARefusedImportIsAnsweredAtOnce, whose body stands still.
func TestARefusedImportIsAnsweredAtOnce(t *testing.T) {
	r := newRig(t, nil)
	body, feed := io.Pipe()
	req, err := http.NewRequest("POST", r.URL+"/v1/import", body)
	if err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = feed.Write([]byte("{")) }()
	time.AfterFunc(progressTimeout/3, func() { _ = feed.Close() })
	began := time.Now()
	if got := r.send(t, req); got.StatusCode != 400 || !strings.Contains(got.body, "Idempotency-Key") {
		t.Errorf("%d %s", got.StatusCode, got.body)
	}
	if took := time.Since(began); took > progressTimeout/3 {
		t.Errorf("it was answered after %s", took)
	}
	_ = feed.Close()
}

func TestADrainingNodeEndsAnImport(t *testing.T) {
	r := newRig(t, nil)
	im := r.begin(t, "/v1/import?batch=1", `{"key":"a","value":"1"}`+"\n")
	im.hear(`"batch":0,"entries":1,"version"`)
	r.gate.Drain()
	im.say(`{"key":"b","value":"1"}` + "\n")
	im.hear(`"reason":"DRAINING"`)
	for im.lines.Scan() && !strings.Contains(im.lines.Text(), `"done":true`) {
	}
	if !strings.Contains(im.lines.Text(), `"entries":1,`) {
		t.Errorf("it ended with %s", im.lines.Text())
	}
}

func TestADrainingNodeWaitsForNoLine(t *testing.T) {
	for _, c := range []struct{ name, open string }{
		{"idle", ""},
		{"half a batch", `{"key":"c","value":"1"}` + "\n"},
		{"half a line", `{"key":"c"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, nil)
			im := r.begin(t, "/v1/import?batch=2", `{"key":"a","value":"1"}`+"\n"+`{"key":"b","value":"1"}`+"\n"+c.open)
			im.hear(`"batch":0,"entries":2,"version"`)
			r.gate.Drain()
			began := time.Now()
			im.hear(`"reason":"DRAINING"`)
			im.hear(`"done":true,"batches":2,"entries":2,"failed":1`)
			if took := time.Since(began); took > progressTimeout/4 {
				t.Errorf("it ended after %s", took)
			}
		})
	}
}

func TestAnImportWhoseClientLeavesKeepsWhatWasAnswered(t *testing.T) {
	r := newRig(t, nil)
	im := r.begin(t, "/v1/import?batch=1", `{"key":"a","value":"1"}`+"\n"+`{"key":"b"`)
	im.hear(`"batch":0`)
	_ = im.feed.CloseWithError(io.ErrUnexpectedEOF)
	if _, value := r.version(t, "a"); value != "1" {
		t.Errorf("a is %q", value)
	} // that nothing is held, the rig sees
}

func TestALineOfAnImportHasABound(t *testing.T) {
	r := newRig(t, func(l *sheaf.Limits) {
		l.BatchEntries, l.BatchBytes, l.ValueBytes, l.InFlightBytes = 8, 64<<10, 16<<10, 256<<10
	})
	line := func(key string, bytes int) string {
		return fmt.Sprintf("{\"key\":%q,\"value\":%q}\n", key, strings.Repeat("x", bytes))
	}
	got := r.imported(t, "", line("a", 16<<10)+line("b", 40<<10), "Idempotency-Key", "long")
	if !strings.Contains(got, "0: BATCH_TOO_LARGE: line 2: it has more than the 32768 bytes") {
		t.Error(got)
	}
	got = r.imported(t, "", line("a", 16<<10)+line("b", 16<<10+1), "Idempotency-Key", "value")
	if !strings.Contains(got, "BATCH_TOO_LARGE") {
		t.Error(got)
	}
	// A batch ends before the line that would make it too large.
	got = r.imported(t, "", line("a", 16<<10)+line("b", 16<<10)+line("c", 16<<10)+line("d", 16<<10), "Idempotency-Key", "cut")
	if !strings.Contains(got, "0: 3 entries") || !strings.Contains(got, "done: 2 batches, 4 entries, 0 failed") {
		t.Error(got)
	}
}
