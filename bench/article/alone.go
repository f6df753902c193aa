package main

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/sheafdb/sheaf/bench/measure"
)

// alone calls the handler without a socket, with a request and a writer that are
// used again, so that what is counted is the handler's.
func (s *service) alone(calls int) (measure.Usage, error) {
	body := &requestBody{}
	request, err := http.NewRequest(s.method, "http://bench"+s.path, body)
	if err != nil {
		return measure.Usage{}, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.ContentLength = int64(len(s.body))
	w := &discard{header: make(http.Header)}
	call := func() error {
		body.Reset(s.body)
		clear(w.header)
		w.status, w.bytes = 0, 0
		s.handler.ServeHTTP(w, request)
		if w.status != 0 && w.status != http.StatusOK || w.bytes == 0 {
			return fmt.Errorf("%s %s answered %d with %d bytes", s.method, s.path, w.status, w.bytes)
		}
		return nil
	}
	if err := call(); err != nil { // what is made once is made
		return measure.Usage{}, err
	}
	return measure.During(func() error {
		for range calls {
			if err := call(); err != nil {
				return err
			}
		}
		return nil
	})
}

// requestBody can be read again.
type requestBody struct{ strings.Reader }

// Close does nothing.
func (*requestBody) Close() error { return nil }

// discard is a ResponseWriter that counts, with the deadlines that net/http's has.
type discard struct {
	header        http.Header
	status, bytes int
}

func (d *discard) Header() http.Header              { return d.header }
func (d *discard) WriteHeader(status int)           { d.status = status }
func (d *discard) Write(p []byte) (int, error)      { d.bytes += len(p); return len(p), nil }
func (d *discard) SetReadDeadline(time.Time) error  { return nil }
func (d *discard) SetWriteDeadline(time.Time) error { return nil }
func (d *discard) FlushError() error                { return nil }
func (d *discard) EnableFullDuplex() error          { return nil }
