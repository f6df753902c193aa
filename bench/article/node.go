package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/admission"
	"github.com/sheafdb/sheaf/internal/coordinator"
	"github.com/sheafdb/sheaf/internal/group"
	"github.com/sheafdb/sheaf/internal/store/memory"
	"github.com/sheafdb/sheaf/internal/wal"
	"github.com/sheafdb/sheaf/internal/web"
)

// node is Sheaf in this process, from the log to the HTTP handler, with the memory
// store and without a port of its own.
type node struct {
	dir     string
	handler http.Handler
	stops   []func() error // in the order to call them
}

func startNode() (n *node, err error) {
	n = &node{}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.stop())
		}
	}()
	if n.dir, err = os.MkdirTemp("", "article-"); err != nil {
		return n, err
	}
	logger := slog.New(slog.DiscardHandler)
	limits := sheaf.DefaultLimits()
	config := memory.DefaultConfig()
	config.Dir = filepath.Join(n.dir, "store")
	store, err := memory.Open(config)
	if err != nil {
		return n, err
	}
	n.first(store.Close)
	gate := admission.NewGate(limits.InFlightBytes)
	g, err := group.OpenSolo(context.Background(), group.Config{
		Store: store, Limits: limits, Gate: gate, LogBytes: 64 << 20,
		Room: func() error { return nil }, Free: func() int64 { return -1 }, Now: time.Now,
		Fatal:  func(err error) { fmt.Fprintln(os.Stderr, "article: the node failed:", err) },
		Logger: logger,
	}, wal.Config{Dir: filepath.Join(n.dir, "log"), SegmentBytes: 1 << 20, Logger: logger})
	if err != nil {
		return n, err
	}
	n.first(g.Close)
	c := coordinator.New(coordinator.Config{
		Groups: []coordinator.Group{g}, Gate: gate, Limits: limits,
		EventualBytes: 1 << 20, EventualWindow: 20 * time.Millisecond, Logger: logger,
	})
	n.first(func() error { c.Close(context.Background()); return nil })
	n.handler = web.New(web.Config{Coordinator: c, Gate: gate, Limits: limits, Logger: logger})
	return n, nil
}

// first puts a step before those there are: what was started last stops first.
func (n *node) first(stop func() error) { n.stops = append([]func() error{stop}, n.stops...) }

// stop ends the node and removes its data.
func (n *node) stop() error {
	var errs []error
	for _, stop := range n.stops {
		errs = append(errs, stop())
	}
	if n.dir != "" {
		errs = append(errs, os.RemoveAll(n.dir))
	}
	return errors.Join(errs...)
}

// put writes one key through the handler.
func (n *node) put(key, value string) error {
	w := httptest.NewRecorder()
	n.handler.ServeHTTP(w, httptest.NewRequest(http.MethodPut, "/v1/keys/"+key, strings.NewReader(value)))
	if w.Code != http.StatusOK {
		return fmt.Errorf("put %s: %d %s", key, w.Code, w.Body)
	}
	return nil
}
