package contract

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sheafdb/sheaf"
)

func b64(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

// wire is a bare connection to the HTTP port, for what net/http would not send.
type wire struct {
	*net.TCPConn
	answers *bufio.Reader
}

func dial(t testing.TB, n *target) *wire {
	t.Helper()
	conn, err := net.Dial("tcp", n.httpAddr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() }) // it may be closed already
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return &wire{conn.(*net.TCPConn), bufio.NewReader(conn)}
}

func (w *wire) say(t testing.TB, text string) {
	t.Helper()
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
}

// hear reads one response.
func (w *wire) hear(t testing.TB) response {
	t.Helper()
	resp, err := http.ReadResponse(w.answers, &http.Request{Method: "POST"})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // it was read
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response{resp, body}
}

// head begins a PutAll with one more header line.
func head(id, line string) string {
	return "POST /v1/putall HTTP/1.1\r\nHost: node\r\nContent-Type: application/json\r\nIdempotency-Key: " + id + "\r\n" + line + "\r\n\r\n"
}

// TestBodiesThatLieAboutTheirLength are never taken for the batch they are not.
func TestBodiesThatLieAboutTheirLength(t *testing.T) {
	n := sharedNode(t, "pebble")
	f := httpFace{n}
	k := t.Name()
	body := `{"entries":[{"key":"` + k + `","value":"1"}]}`
	absent := func() {
		t.Helper()
		if got := must(t, f, call{op: getKey, keys: []string{k}}); got.items[0].found {
			t.Error("a batch was applied whose body was not what its header said")
		}
	}
	t.Run("too short", func(t *testing.T) {
		w := dial(t, n)
		w.say(t, head(k, fmt.Sprintf("Content-Length: %d", len(body)+1))+body)
		if err := w.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		refusedWith(t, w.hear(t), sheaf.NotProposed)
		absent()
	})
	t.Run("too long", func(t *testing.T) {
		w := dial(t, n)
		w.say(t, head(k, fmt.Sprintf("Content-Length: %d", len(body)-1))+body)
		refusedWith(t, w.hear(t), sheaf.InvalidBatch)
		absent()
	})
	t.Run("chunks that end early", func(t *testing.T) {
		w := dial(t, n)
		w.say(t, head(k, "Transfer-Encoding: chunked")+fmt.Sprintf("%x\r\n%s\r\n", len(body), body))
		if err := w.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		refusedWith(t, w.hear(t), sheaf.NotProposed)
		absent()
	})
	t.Run("more than is allowed", func(t *testing.T) {
		w := dial(t, n)
		w.say(t, head(k, "Content-Length: 1000000000000"))
		refusedWith(t, w.hear(t), sheaf.BatchTooLarge)
		absent()
	})
}

// TestSlowAndChunkedBodies arrive as whole as others.
func TestSlowAndChunkedBodies(t *testing.T) {
	n := sharedNode(t, "pebble")
	k := t.Name()
	body := `{"entries":[{"key":"` + k + `","value":"` + strings.Repeat("v", 200) + `"}]}`
	chunked, slow := dial(t, n), dial(t, n)
	chunked.say(t, head(k+"1", "Transfer-Encoding: chunked"))
	slow.say(t, head(k+"2", fmt.Sprintf("Content-Length: %d", len(body))))
	for i := range len(body) {
		chunked.say(t, "1\r\n"+body[i:i+1]+"\r\n")
		slow.say(t, body[i:i+1])
	}
	chunked.say(t, "0\r\n\r\n")
	answered(t, chunked.hear(t), http.StatusOK)
	answered(t, slow.hear(t), http.StatusOK)

	// A chunked body has no length to refuse: what it carries is counted.
	small := dial(t, sharedNode(t, "small"))
	small.say(t, head(k, "Transfer-Encoding: chunked"))
	for range 4 {
		small.say(t, fmt.Sprintf("%x\r\n%s\r\n", smallBatch, strings.Repeat(" ", smallBatch)))
	}
	small.say(t, "0\r\n\r\n")
	refusedWith(t, small.hear(t), sheaf.BatchTooLarge)
}
