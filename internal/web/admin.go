package web

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/pprof"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// AdminConfig is what the administrative pages need.
type AdminConfig struct {
	Registry *prometheus.Registry
	// Ready says why the node is not ready; nil is always ready.
	Ready func() error
	// Logger may be nil.
	Logger *slog.Logger
}

const adminText = `Sheaf: the administrative pages of this node.

/metrics       for Prometheus, native histograms included
/healthz       200 while the process lives
/readyz        200 when it takes requests, else 503 and the reason
/debug/pprof/  profiles, for go tool pprof
`

// NewAdmin returns the handler of the administrative port. It changes nothing,
// but it tells much: the port is for operators only.
func NewAdmin(cfg AdminConfig) http.Handler {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, _ *http.Request) { plain(w, http.StatusOK, adminText) })
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { plain(w, http.StatusOK, "ok\n") })
	mux.HandleFunc("/readyz", func(w http.ResponseWriter, _ *http.Request) {
		if cfg.Ready != nil {
			if err := cfg.Ready(); err != nil {
				plain(w, http.StatusServiceUnavailable, fmt.Sprintf("not ready: %s\n", err))
				return
			}
		}
		plain(w, http.StatusOK, "ready\n")
	})
	// Native histograms need protobuf, which promhttp chooses by Accept.
	mux.Handle("/metrics", promhttp.HandlerFor(cfg.Registry, promhttp.HandlerOpts{
		Registry: cfg.Registry, EnableOpenMetrics: true,
		ErrorLog: slog.NewLogLogger(cfg.Logger.Handler(), slog.LevelError),
	}))
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return readOnly(mux)
}

// readOnly refuses every method but GET and HEAD.
func readOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			plain(w, http.StatusMethodNotAllowed, "the administrative pages take GET and HEAD\n")
			return
		}
		next.ServeHTTP(w, r)
	})
}

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text) // the client is gone
}
