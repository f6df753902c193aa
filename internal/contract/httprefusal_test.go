package contract

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sheafdb/sheaf"
)

// problemDocument is all that a problem document of ours may have.
type problemDocument struct {
	Type    string `json:"type"`
	Title   string `json:"title"`
	Status  int    `json:"status"`
	Detail  string `json:"detail"`
	Reason  string `json:"reason"`
	Retry   string `json:"retry"`
	Outcome string `json:"outcome"`

	CurrentETag  string   `json:"current_etag"`
	Keys         []string `json:"keys"`
	KeysB64      [][]byte `json:"keys_b64"`
	RetryAfterMS int64    `json:"retry_after_ms"`
	Errors       []struct {
		Field   string `json:"field"`
		Problem string `json:"problem"`
	} `json:"errors"`
}

// httpRefusal reads a problem document and holds it against its row of the table.
func httpRefusal(t testing.TB, resp response, c call) *refusal {
	t.Helper()
	if kind := resp.Header.Get("Content-Type"); kind != "application/problem+json" {
		t.Fatalf("an error %d has Content-Type %q: %.200s", resp.StatusCode, kind, resp.body)
	}
	got := readProblem(t, resp.body, resp.StatusCode, c)
	seconds := resp.Header.Get("Retry-After")
	if got.code == sheaf.RateLimited && seconds == "" {
		t.Errorf("%s: has no Retry-After", got.code)
	}
	if n, err := strconv.Atoi(seconds); seconds != "" && (err != nil || time.Duration(n)*time.Second < got.retryAfter) {
		t.Errorf("%s: Retry-After is %q but the document asks for %s", got.code, seconds, got.retryAfter)
	}
	if resp.Header.Get("ETag") != "" {
		t.Errorf("%s: an error has the ETag %s", got.code, resp.Header.Get("ETag"))
	}
	return got
}

// readProblem reads the document alone, which also ends a scan that broke off.
func readProblem(t testing.TB, text []byte, statusCode int, c call) *refusal {
	t.Helper()
	var doc problemDocument
	strictly(t, text, &doc)
	got := refusal{
		code: sheaf.Code(doc.Reason), detail: doc.Detail, keys: doc.Keys, currentETag: doc.CurrentETag,
		retryAfter: time.Duration(doc.RetryAfterMS) * time.Millisecond,
	}
	note("http", got.code)
	for _, key := range doc.KeysB64 {
		got.keys = append(got.keys, string(key))
	}
	for _, e := range doc.Errors {
		got.fields = append(got.fields, e.Field)
		if e.Problem == "" {
			t.Errorf("%s: the field %s is not told what is wrong with it", got.code, e.Field)
		}
	}
	want, known := rows[got.code]
	if !known {
		t.Fatalf("reason %q is not in the table", doc.Reason)
	}
	status := want.http
	if got.code == sheaf.OutcomeUnknown && c.timeout > 0 {
		status = http.StatusGatewayTimeout // the caller's own deadline is told back to it
	}
	if doc.Status != status || statusCode != status {
		t.Errorf("%s: the status is %d, and %d in the document: it must be %d", got.code, statusCode, doc.Status, status)
	}
	if doc.Outcome != string(want.outcome) || doc.Retry != string(want.retry) {
		t.Errorf("%s: outcome is %q and retry %q: they must be %q and %q", got.code, doc.Outcome, doc.Retry, want.outcome, want.retry)
	}
	if !strings.Contains(doc.Type, ":") || doc.Title == "" {
		t.Errorf("%s: type is %q and title %q: RFC 9457 has a URI and a summary", got.code, doc.Type, doc.Title)
	}
	if (len(got.fields) > 0) != (got.code == sheaf.InvalidBatch) {
		t.Errorf("%s: names the fields %q: %s", got.code, got.fields, got.detail)
	}
	if len(got.keys) > 0 && got.code != sheaf.ETagMismatch && got.code != sheaf.VersionMismatch {
		t.Errorf("%s: names the keys %q", got.code, got.keys)
	}
	checkRefusal(t, &got)
	return &got
}
