package web

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/admission"
	"github.com/sheafdb/sheaf/internal/coordinator"
	"github.com/sheafdb/sheaf/internal/group"
	"github.com/sheafdb/sheaf/internal/store/memory"
	"github.com/sheafdb/sheaf/internal/telemetry"
	"github.com/sheafdb/sheaf/internal/wal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a node without its main: a log, a memory store, a group, a coordinator
// and the HTTP face on a port.
type rig struct {
	*httptest.Server
	gate     *admission.Gate
	store    *memory.Store
	group    *group.Solo
	limits   sheaf.Limits
	registry *prometheus.Registry
}

// newRig starts a node in a temporary directory. change may alter its limits.
func newRig(t testing.TB, change func(*sheaf.Limits)) *rig {
	t.Helper()
	limits := sheaf.DefaultLimits()
	if change != nil {
		change(&limits)
	}
	if err := limits.Validate(); err != nil {
		t.Fatal(err)
	}
	logger := slog.New(slog.DiscardHandler)
	dir := t.TempDir()
	storeConfig := memory.DefaultConfig()
	storeConfig.Dir = filepath.Join(dir, "store")
	s, err := memory.Open(storeConfig)
	if err != nil {
		t.Fatal(err)
	}
	gate := admission.NewGate(limits.InFlightBytes)
	g, err := group.OpenSolo(t.Context(), group.Config{
		Store: s, Limits: limits, Gate: gate, Room: func() error { return nil }, Free: func() int64 { return -1 }, LogBytes: 512 << 20,
		Now: time.Now, Fatal: func(err error) { t.Error("fatal:", err) }, Logger: logger,
	}, wal.Config{Dir: filepath.Join(dir, "log"), SegmentBytes: 1 << 20, Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	c := coordinator.New(coordinator.Config{
		Groups: []coordinator.Group{g}, Gate: gate, Limits: limits,
		EventualBytes: 64 << 20, EventualWindow: 20 * time.Millisecond, Logger: logger,
	})
	registry := prometheus.NewRegistry()
	server := httptest.NewUnstartedServer(nil)
	server.Config = Server(New(Config{
		Coordinator: c, Gate: gate, Limits: limits, Metrics: telemetry.NewMetrics(registry), Logger: logger,
	}), "", logger)
	server.Start()
	t.Cleanup(func() {
		server.Close()
		c.Close(context.Background())
		if err := g.Close(); err != nil {
			t.Error(err)
		}
		// Only now: the group counts the batch of a caller who has gone until it is done with it.
		if now, _ := gate.InFlight(); now != 0 {
			t.Errorf("%d bytes are still counted in flight", now)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return &rig{Server: server, gate: gate, store: s, group: g, limits: limits, registry: registry}
}

// answer is a response with its body read.
type answer struct {
	*http.Response
	body string
}

// do sends one request; headers are pairs of names and values.
func (r *rig) do(t testing.TB, method, path, body string, headers ...string) answer {
	t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	req, err := http.NewRequest(method, r.URL+path, reader)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	return r.send(t, req)
}

func (r *rig) send(t testing.TB, req *http.Request) answer {
	t.Helper()
	resp, err := r.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // it was read
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp, string(text)}
}
