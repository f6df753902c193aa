package rpc

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sheafdb/sheaf"
	sheafv1 "github.com/sheafdb/sheaf/api/sheaf/v1"
	"github.com/sheafdb/sheaf/internal/admission"
	"github.com/sheafdb/sheaf/internal/apply"
	"github.com/sheafdb/sheaf/internal/coordinator"
	"github.com/sheafdb/sheaf/internal/group"
	"github.com/sheafdb/sheaf/internal/telemetry"
	"github.com/sheafdb/sheaf/internal/wire"
)

// sink is a group that drops what it is given, after one walk over the entries
// for their ETag. Its other methods are not called.
type sink struct {
	coordinator.Group
	version atomic.Uint64
}

// Leads says that there is nobody else.
func (s *sink) Leads() bool { return true }

func (s *sink) Propose(_ context.Context, cmd *wire.Command) (apply.Result, group.Timing, error) {
	result := apply.Result{Version: s.version.Add(1)}
	for _, entry := range cmd.Entries.All() {
		result.ETag.AddKey(entry.Key, result.Version)
	}
	return result, group.Timing{Log: time.Microsecond, Apply: time.Microsecond}, nil
}

// listen serves the face over g on loopback until the test ends, with metrics as
// a node has them, and returns its address.
func listen(t testing.TB, g coordinator.Group, gate *admission.Gate) string {
	t.Helper()
	limits, logger := sheaf.DefaultLimits(), slog.New(slog.DiscardHandler)
	core := coordinator.New(coordinator.Config{
		Groups: []coordinator.Group{g}, Gate: gate, Limits: limits,
		EventualBytes: 1 << 20, EventualWindow: 20 * time.Millisecond, Logger: logger,
	})
	s := New(Config{
		Gate: gate, Limits: limits, Metrics: telemetry.NewMetrics(prometheus.NewRegistry()),
		Status: func() *sheafv1.GetStatusResponse { return &sheafv1.GetStatusResponse{} }, Logger: logger,
	})
	s.SetCore(core)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(listener) }()
	t.Cleanup(func() {
		s.Stop()
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
		core.Close(context.Background())
	})
	return listener.Addr().String()
}

// batchOf makes entries of 32+128 bytes.
func batchOf(n int) []sheaf.Entry {
	entries := make([]sheaf.Entry, n)
	for i := range entries {
		entries[i] = sheaf.Entry{Key: fmt.Appendf(nil, "key-%028d", i), Value: make([]byte, 128)}
	}
	return entries
}
