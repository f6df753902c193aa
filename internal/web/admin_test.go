package web

import (
	"errors"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sheafdb/sheaf/internal/telemetry"
)

func TestAdminPages(t *testing.T) {
	var ready error
	registry := prometheus.NewRegistry()
	telemetry.NewMetrics(registry).ObserveRequest("http", "getall", "", 0)
	handler := NewAdmin(AdminConfig{Registry: registry, Ready: func() error { return ready }})
	for _, row := range []struct {
		method, path, accept string
		ready                error
		status               int
		want                 string // a part of the body
	}{
		{"GET", "/", "", nil, 200, "/metrics"},
		{"GET", "/healthz", "", errors.New("replaying"), 200, "ok"},
		{"GET", "/readyz", "", nil, 200, "ready"},
		{"GET", "/readyz", "", errors.New("replaying the log"), 503, "replaying the log"},
		{"GET", "/metrics", "", nil, 200, `sheaf_requests_total{face="http",method="getall",reason="ok"} 1`},
		{"GET", "/metrics", "application/openmetrics-text", nil, 200, "# EOF"},
		{"GET", "/metrics", "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited", nil, 200, "sheaf_getall_latency_seconds"},
		{"GET", "/debug/pprof/", "", nil, 200, "goroutine"},
		{"GET", "/debug/pprof/goroutine?debug=1", "", nil, 200, "TestAdminPages"},
		{"GET", "/nothing", "", nil, 404, ""},
		{"POST", "/metrics", "", nil, 405, "GET and HEAD"},
		{"DELETE", "/nothing", "", nil, 405, ""},
		{"HEAD", "/healthz", "", nil, 200, ""},
	} {
		ready = row.ready
		w := httptest.NewRecorder()
		r := httptest.NewRequest(row.method, row.path, nil)
		if row.accept != "" {
			r.Header.Set("Accept", row.accept)
		}
		handler.ServeHTTP(w, r)
		if w.Code != row.status || !strings.Contains(w.Body.String(), row.want) {
			t.Errorf("%s %s: %d %.300q, want %d …%s…", row.method, row.path, w.Code, w.Body.String(), row.status, row.want)
		}
	}
}
