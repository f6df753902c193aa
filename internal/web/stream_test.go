package web

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/admission"
)

func TestStreamCutsLargeValuesAnywhere(t *testing.T) {
	for _, value := range []string{
		strings.Repeat("\x01", 3*pieceBytes),
		strings.Repeat("aé😀", pieceBytes), // pieces end inside of characters
		strings.Repeat("\xff", 3*pieceBytes+1),
		strings.Repeat("\xff\x00", pieceBytes) + "x",
		strings.Repeat("v", flushBytes),
		"",
	} {
		w := httptest.NewRecorder()
		x := &exchange{w: w, control: http.NewResponseController(w), gate: admission.NewGate(1)} // no more than asked whether it drains
		s := stream{x: x, push: true}
		s.item(&sheaf.Item{Key: []byte("k"), Value: []byte(value), Found: true, Version: 1})
		s.raw("}")
		if largest := 8 * flushBytes; cap(s.out) > largest {
			t.Errorf("%.8q…: %d bytes were held", value, cap(s.out))
		}
		s.spill(0)
		var back struct {
			Key      string
			Value    *string
			ValueB64 []byte `json:"value_b64"`
			Version  string
		}
		if err := json.Unmarshal(w.Body.Bytes(), &back); err != nil {
			t.Fatalf("%.8q…: %v", value, err)
		}
		if back.Value != nil && *back.Value != value || back.Value == nil && !bytes.Equal(back.ValueB64, []byte(value)) {
			t.Errorf("%.8q… was altered", value)
		}
	}
}

// dated records the deadlines that a handler sets on its connection.
type dated struct {
	*httptest.ResponseRecorder
	reads, writes []time.Time
}

func (d *dated) SetReadDeadline(at time.Time) error {
	d.reads = append(d.reads, at)
	return nil
}

func (d *dated) SetWriteDeadline(at time.Time) error {
	d.writes = append(d.writes, at)
	return nil
}

func TestBodiesMustMakeProgress(t *testing.T) {
	handler := newRig(t, nil).Config.Handler
	w := &dated{ResponseRecorder: httptest.NewRecorder()}
	begin := time.Now()
	handler.ServeHTTP(w, httptest.NewRequest("PUT", "/v1/keys/a", strings.NewReader(strings.Repeat("v", 3*readStepBytes))))
	if w.Code != 200 {
		t.Fatal(w.Body)
	}
	near := func(at time.Time) bool {
		in := at.Sub(begin)
		return in >= progressTimeout && in < progressTimeout+progressTimeout/2
	}
	last := len(w.reads) - 1
	if last < 3 {
		t.Fatalf("%d read deadlines for a body of three pieces", len(w.reads))
	}
	for i, at := range w.reads {
		// The last one is none: the connection is only watched from there on.
		if i < last && !near(at) || i == last && !at.IsZero() {
			t.Errorf("read deadline %d is in %v", i, at.Sub(begin))
		}
	}
	for i, at := range w.writes {
		if i == 0 && !at.IsZero() || i > 0 && !near(at) {
			t.Errorf("write deadline %d is in %v", i, at.Sub(begin))
		}
	}
}
