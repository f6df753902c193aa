package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/admission"
	"github.com/sheafdb/sheaf/internal/telemetry"
)

func TestProblemsAreTheTable(t *testing.T) {
	for _, row := range sheaf.Table {
		x := &exchange{r: httptest.NewRequest("GET", "/", nil)}
		w := httptest.NewRecorder()
		x.w, x.control = w, http.NewResponseController(w)
		writeProblem(x, &sheaf.Error{Code: row.Code, Err: errors.New("the cause")})
		detail := row.Next
		if row.Code == sheaf.Corruption {
			detail = "the cause"
		}
		want := map[string]any{
			"type":  "urn:sheaf:error:" + strings.ToLower(strings.ReplaceAll(string(row.Code), "_", "-")),
			"title": row.Title, "status": float64(row.HTTP), "detail": detail, "reason": string(row.Code),
			"retry": string(row.Retry), "outcome": string(row.Outcome),
		}
		var got map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" || w.Code != row.HTTP || w.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: status %d, %v (-want +got):\n%s", row.Code, w.Code, w.Header(), diff)
		}
	}
}

func TestProblemCarriesItsVariables(t *testing.T) {
	e := sheaf.Invalid("entries[3].key", "is empty")
	e.Code, e.Keys, e.CurrentETag, e.RetryAfter = sheaf.OutcomeUnknown, [][]byte{[]byte("a"), {0xff}}, `"tag"`, 1001*time.Millisecond
	e.Err = context.DeadlineExceeded
	w := httptest.NewRecorder()
	writeProblem(&exchange{w: w, control: http.NewResponseController(w)}, e)
	want := `{"type":"urn:sheaf:error:outcome-unknown","title":"the answer was lost: the batch may be applied or not","status":504,` +
		`"detail":"entries[3].key: is empty","reason":"OUTCOME_UNKNOWN","retry":"same-id","outcome":"unknown","current_etag":"\"tag\"",` +
		`"keys":["a"],"keys_b64":["/w=="],"errors":[{"field":"entries[3].key","problem":"is empty"}],"retry_after_ms":1001}` + "\n"
	if diff := cmp.Diff(want, w.Body.String()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got := w.Header().Get("Retry-After"); got != "2" {
		t.Errorf("Retry-After is %q: 1001 ms are 2 whole seconds", got)
	}
}

func TestPanicIsAnswered(t *testing.T) {
	var logged bytes.Buffer
	// There is no coordinator, so every call of it panics.
	server := httptest.NewServer(New(Config{
		Gate: admission.NewGate(1 << 20), Limits: sheaf.DefaultLimits(),
		Logger: slog.New(slog.NewTextHandler(&logged, nil)),
	}))
	defer server.Close()
	client := &rig{Server: server}
	first := client.do(t, "GET", "/v1/keys/a", "")
	if first.StatusCode != 500 || !strings.Contains(first.body, `"reason":"INTERNAL"`) || strings.Contains(first.body, "goroutine") {
		t.Errorf("got %d %s", first.StatusCode, first.body)
	}
	if second := client.do(t, "GET", "/", ""); second.StatusCode != 200 {
		t.Errorf("the server answers %d after a panic", second.StatusCode)
	}
	if !strings.Contains(logged.String(), "read.go") {
		t.Errorf("the log does not say where: %s", logged.String())
	}
}

func TestServerTimingNamesTheStages(t *testing.T) {
	node := newRig(t, nil)
	got := node.do(t, "POST", "/v1/putall", `{"request_id":"r","entries":[{"key":"a"}]}`)
	var names []string
	telemetry.ParseServerTiming(got.Header.Get("Server-Timing")).Each(func(s telemetry.Stage, _ time.Duration) {
		names = append(names, s.String())
	})
	if diff := cmp.Diff([]string{"decode", "admit", "route", "log", "apply", "respond"}, names); diff != "" {
		t.Errorf("stages (-want +got):\n%s", diff)
	}
}

func TestRequestsAreCounted(t *testing.T) {
	node := newRig(t, nil)
	node.do(t, "PUT", "/v1/keys/a?consistency=sequential", "1")
	node.do(t, "GET", "/v1/keys/b", "")
	node.do(t, "BREW", "/v1/keys/b", "")
	node.do(t, "GET", "/v1/teapot", "")
	families, err := node.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, family := range families {
		if name := family.GetName(); name == "sheaf_requests_total" || name == "sheaf_putall_latency_seconds" {
			for _, metric := range family.GetMetric() {
				line := name
				for _, label := range metric.GetLabel() {
					line += " " + label.GetValue()
				}
				got = append(got, line)
			}
		}
	}
	slices.Sort(got)
	want := []string{ // labels in the order of their names
		"sheaf_putall_latency_seconds sequential http ok",
		"sheaf_requests_total http get NOT_FOUND",
		"sheaf_requests_total http other METHOD_NOT_ALLOWED",
		"sheaf_requests_total http other NOT_FOUND",
		"sheaf_requests_total http put ok",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("series (-want +got):\n%s", diff)
	}
}

func TestIndexNamesOneCommand(t *testing.T) {
	got := newRig(t, nil).do(t, "GET", "/", "")
	if got.StatusCode != 200 || !strings.Contains(got.body, "curl --json") || !strings.Contains(got.body, got.Request.URL.Host) {
		t.Errorf("got %d %s", got.StatusCode, got.body)
	}
}

func TestTypeURLThatIsNoHeaderIsNotAltered(t *testing.T) {
	node := newRig(t, nil)
	node.do(t, "POST", "/v1/putall", `{"request_id":"r","entries":[{"key":"a","type_url":"two\nlines"},{"key":"b","type_url":"ünïcode"}]}`)
	if got := node.do(t, "GET", "/v1/keys/a", ""); got.StatusCode != 400 || !strings.Contains(got.body, "/v1/getall") {
		t.Errorf("got %d %s", got.StatusCode, got.body)
	}
	if got := node.do(t, "GET", "/v1/keys/b", "").Header.Get(typeURLHeader); got != "ünïcode" {
		t.Errorf("the header is %q", got)
	}
}

func TestAcceptedBatchIsReplayed(t *testing.T) {
	node := newRig(t, nil)
	const body = `{"request_id":"e","consistency":"eventual","entries":[{"key":"a","value":"1"}]}`
	node.do(t, "POST", "/v1/putall", body)
	// It is answered before it is applied.
	for node.do(t, "GET", "/v1/keys/a", "").StatusCode != 200 {
	}
	got := node.do(t, "POST", "/v1/putall", body)
	if got.StatusCode != 202 || got.body != `{"accepted":true,"replayed":true}`+"\n" {
		t.Errorf("got %d %s", got.StatusCode, got.body)
	}
}
