// Package web is the HTTP face of a node: JSON for batches, raw bytes for one
// key, and the administrative pages. It turns a request into a call of the
// coordinator and the answer into HTTP; it decides nothing about a batch.
//
// Invariants:
//
//   - The bytes of a request are counted at the Gate before they are read, and
//     what decoding them costs before they are decoded.
//   - No byte of a key or a value is ever altered: what JSON cannot carry comes
//     and goes as base64, and what a lenient decoder would replace (invalid
//     UTF-8, lone surrogates) is refused.
//   - Every failure is one row of the error table, as a problem document (RFC
//     9457). Handlers return errors; serve.go alone answers them.
//
// It holds no state between requests, and does not know gRPC: the other face,
// package rpc, stands beside it.
package web

import (
	"log/slog"
	"net/http"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/admission"
	"github.com/sheafdb/sheaf/internal/coordinator"
	"github.com/sheafdb/sheaf/internal/telemetry"
)

// Config is what the HTTP face needs.
type Config struct {
	Coordinator *coordinator.Coordinator
	Gate        *admission.Gate
	Limits      sheaf.Limits
	// Metrics may be nil.
	Metrics *telemetry.Metrics
	// Ready says why the node is not ready, for the page at "/"; it may be nil.
	Ready func() error
	// Logger may be nil. It gets defects, and at Debug one line per request.
	Logger *slog.Logger
}

// api is the handler of the data port.
type api struct {
	cfg Config
	// bodyLimitBytes bounds a JSON body. Base64 and JSON's own characters make
	// it larger than the batch it holds.
	bodyLimitBytes int64
	// decodeLimitBytes bounds what is counted for decoding one. Together the two
	// are less than what the Gate holds: otherwise a body that is allowed would
	// be told to come back later, for ever.
	decodeLimitBytes int64
}

// New returns the handler of the data port: /v1 and a short page at "/".
func New(cfg Config) http.Handler {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	_, gateLimit := cfg.Gate.InFlight()
	return &api{
		cfg:              cfg,
		bodyLimitBytes:   min(2*int64(cfg.Limits.BatchBytes)+1<<20, gateLimit/2-1),
		decodeLimitBytes: gateLimit / 2,
	}
}
