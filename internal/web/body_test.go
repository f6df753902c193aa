package web

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sheafdb/sheaf"
)

// chunked sends a body whose size is not announced.
func (r *rig) chunked(t *testing.T, method, path string, body io.Reader, headers ...string) answer {
	t.Helper()
	req, err := http.NewRequest(method, r.URL+path, io.MultiReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	return r.send(t, req)
}

// raw sends bytes and returns what comes back, until the server closes.
func (r *rig) raw(t *testing.T, request string, halfClose bool) string {
	t.Helper()
	conn, err := net.Dial("tcp", r.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // it was read to its end
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	if halfClose {
		if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return err.Error()
	}
	body, _ := io.ReadAll(resp.Body)
	return fmt.Sprintf("%d %s", resp.StatusCode, body)
}

func small(l *sheaf.Limits) {
	l.BatchBytes, l.ValueBytes, l.InFlightBytes = 64<<10, 32<<10, 4<<20
}

func TestChunkedBodiesAreTaken(t *testing.T) {
	node := newRig(t, nil)
	for _, size := range []int{0, 1, readStepBytes - 1, readStepBytes, readStepBytes + 1, 5 * readStepBytes} {
		value := strings.Repeat("v", size)
		if got := node.chunked(t, "PUT", "/v1/keys/a", strings.NewReader(value)); got.StatusCode != 200 {
			t.Fatalf("%d bytes: %d %s", size, got.StatusCode, got.body)
		}
		if got := node.do(t, "GET", "/v1/keys/a", ""); got.body != value {
			t.Errorf("%d bytes came back as %d", size, len(got.body))
		}
	}
}

func TestLargeBodiesAreRefused(t *testing.T) {
	node := newRig(t, small)
	limit := 2*node.limits.BatchBytes + 1<<20
	batch := func(size int) string { // white space is as good as anything
		const tail = `{"request_id":"r","entries":[{"key":"a"}]}`
		return strings.Repeat(" ", size-len(tail)) + tail
	}
	for _, row := range []struct {
		name, method, path, body string
		want                     int
	}{
		{"a batch at the limit", "POST", "/v1/putall", batch(limit), 200},
		{"a batch above it", "POST", "/v1/putall", batch(limit + 1), 413},
		{"a batch far above it", "POST", "/v1/putall", batch(8 * limit), 413},
		{"a value at the limit", "PUT", "/v1/keys/a", strings.Repeat("v", 32<<10), 200},
		{"a value above it", "PUT", "/v1/keys/a", strings.Repeat("v", 32<<10+1), 413},
		{"a value far above it", "PUT", "/v1/keys/a", strings.Repeat("v", 1<<20), 413},
	} {
		t.Run(row.name, func(t *testing.T) {
			if got := node.do(t, row.method, row.path, row.body); got.StatusCode != row.want {
				t.Errorf("announced: %d %s", got.StatusCode, got.body)
			}
			if got := node.chunked(t, row.method, row.path, strings.NewReader(row.body)); got.StatusCode != row.want {
				t.Errorf("chunked: %d %s", got.StatusCode, got.body)
			}
		})
	}
}

func TestAllowedBodyFitsAnIdleNode(t *testing.T) {
	node := newRig(t, func(l *sheaf.Limits) {
		l.BatchBytes, l.ValueBytes, l.InFlightBytes = 64<<10, 32<<10, 256<<10 // as little as there may be
	})
	// As many commas as fit: each could be an entry.
	list := func(size int) string {
		const head, tail = `{"keys":["a"`, `]}`
		return head + strings.Repeat(`,"a"`, (size-len(head)-len(tail))/4) + tail
	}
	for _, size := range []int{32 << 10, 64 << 10, 100 << 10, 127 << 10, 200 << 10, 300 << 10} {
		for _, got := range []answer{
			node.do(t, "POST", "/v1/getall", list(size)),
			node.chunked(t, "POST", "/v1/getall", strings.NewReader(list(size))),
		} {
			if got.StatusCode == 429 {
				t.Errorf("%d bytes: told to come back later, where nothing will be better", size)
			}
		}
	}
}

func TestRefusedBodyIsNotAskedFor(t *testing.T) {
	node := newRig(t, small)
	got := node.raw(t, "PUT /v1/keys/a HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\nExpect: 100-continue\r\n\r\n", false)
	if !strings.HasPrefix(got, "413 ") || !strings.Contains(got, `"reason":"BATCH_TOO_LARGE"`) {
		t.Errorf("got %s", got)
	}
}

func TestFullNodeRefusesBeforeItReads(t *testing.T) {
	node := newRig(t, small)
	now, limit := node.gate.InFlight()
	if err := node.gate.Reserve(limit - now - 10); err != nil {
		t.Fatal(err)
	}
	defer node.gate.Release(limit - now - 10)
	for _, got := range []answer{
		node.do(t, "POST", "/v1/putall", `{"request_id":"r","entries":[{"key":"a"}]}`),
		node.do(t, "PUT", "/v1/keys/a", "eleven byte"),
		node.do(t, "PUT", "/v1/keys/a", "ten bytes!"), // its entry does not fit beside it
		node.chunked(t, "PUT", "/v1/keys/a", strings.NewReader("1")),
	} {
		if got.StatusCode != 429 || got.Header.Get("Retry-After") != "1" || !strings.Contains(got.body, `"retry_after_ms":100`) {
			t.Errorf("got %d %v %s", got.StatusCode, got.Header, got.body)
		}
	}
	if got := node.do(t, "PUT", "/v1/keys/a", "1"); got.StatusCode != 200 {
		t.Errorf("a small write: %d %s", got.StatusCode, got.body)
	}
}

func TestLargeAnswersAreCounted(t *testing.T) {
	node := newRig(t, small)
	node.do(t, "PUT", "/v1/keys/a", strings.Repeat("v", 32<<10))
	now, limit := node.gate.InFlight()
	if err := node.gate.Reserve(limit - now - 20<<10); err != nil {
		t.Fatal(err)
	}
	defer node.gate.Release(limit - now - 20<<10)
	if got := node.do(t, "GET", "/v1/keys/a", ""); got.StatusCode != 429 {
		t.Errorf("got %d", got.StatusCode)
	}
}

func TestBodyThatEndsEarlyDoesNothing(t *testing.T) {
	node := newRig(t, nil)
	for _, request := range []string{
		"PUT /v1/keys/a HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf",
		"PUT /v1/keys/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
	} {
		got := node.raw(t, request, true)
		if !strings.HasPrefix(got, "504 ") || !strings.Contains(got, `"reason":"NOT_PROPOSED"`) {
			t.Errorf("got %s", got)
		}
	}
	if got := node.raw(t, "PUT /v1/keys/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n", true); !strings.HasPrefix(got, "400 ") {
		t.Errorf("got %s", got)
	}
	if got := node.do(t, "GET", "/v1/keys/a", ""); got.StatusCode != 404 {
		t.Errorf("a part of a value was written: %q", got.body)
	}
}

func TestBodyMustArriveByTheCallersDeadline(t *testing.T) {
	node := newRig(t, nil)
	got := node.raw(t, "PUT /v1/keys/a HTTP/1.1\r\nHost: x\r\nSheaf-Timeout-Ms: 20\r\nContent-Length: 10\r\n\r\nhalf", false)
	if !strings.HasPrefix(got, "504 ") || !strings.Contains(got, "deadline") {
		t.Errorf("got %s", got)
	}
}

func TestDeadlineOfOneRequestIsNotTheNexts(t *testing.T) {
	node := newRig(t, nil)
	const first = "PUT /v1/keys/a HTTP/1.1\r\nHost: x\r\nSheaf-Timeout-Ms: 1000\r\nContent-Length: 1\r\n\r\n1"
	const second = "GET /v1/keys/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
	conn, err := net.Dial("tcp", node.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // it was read to its end
	if _, err := io.WriteString(conn, first+second); err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(conn)
	if err != nil || strings.Count(string(all), "HTTP/1.1 200 OK") != 2 {
		t.Errorf("got %v: %s", err, all)
	}
}

func TestScanEndsWithItsError(t *testing.T) {
	node := newRig(t, nil)
	for i := range 4 {
		node.do(t, "PUT", fmt.Sprintf("/v1/keys/k%d", i), strings.Repeat("v", flushBytes))
	}
	// All of it is one stream of several flushes.
	whole := node.do(t, "GET", "/v1/scan", "")
	if lines := strings.Count(whole.body, "\n"); lines != 4 || len(whole.TransferEncoding) == 0 {
		t.Errorf("%d lines, transfer encoding %v", lines, whole.TransferEncoding)
	}
	// A caller whose deadline has passed is told so where it looks: at the end.
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	w := httptest.NewRecorder()
	req, _ := http.NewRequestWithContext(ctx, "GET", "/v1/scan", nil)
	node.Config.Handler.ServeHTTP(w, req)
	last := w.Body.String()[strings.LastIndex(strings.TrimSuffix(w.Body.String(), "\n"), "\n")+1:]
	if !strings.HasPrefix(last, `{"error":{"type":"urn:sheaf:error:not-proposed"`) || !strings.HasSuffix(last, "}}\n") {
		t.Errorf("the last line is %.200q", last)
	}
}
