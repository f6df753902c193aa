package web

import (
	"log/slog"
	"net/http"
	"time"
)

const (
	// headerTimeout bounds how long a client may take to send a header.
	headerTimeout = 5 * time.Second
	// idleTimeout closes connections that nobody uses.
	idleTimeout = 2 * time.Minute
	// progressTimeout bounds how long a body may stand still, in or out. There
	// is no bound on a whole request: a slow line may carry a large batch.
	progressTimeout = 30 * time.Second
	// maxHeaderBytes has room for the longest key with every byte escaped.
	maxHeaderBytes = 16 << 10
)

// Server returns a server for one of this package's handlers. The caller makes
// it listen, and shuts it down.
func Server(handler http.Handler, addr string, logger *slog.Logger) *http.Server {
	return &http.Server{
		Addr:              addr,
		Handler:           handler,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		// What net/http has to say is about clients: broken TLS handshakes, bad
		// requests. The panics of handlers are logged in serve.go.
		ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
}
