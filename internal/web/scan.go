package web

import (
	"net/http"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/coordinator"
)

// scanFormat is the media type of newline-delimited JSON.
const scanFormat = "application/x-ndjson"

// scan serves GET /v1/scan: one line per key, in the order of their bytes. An
// error in the middle of the stream is its last line, {"error":{…}}.
func (a *api) scan(x *exchange) error {
	q, err := parseQuery(x.r.URL.RawQuery, "prefix", "prefix_b64", "start", "start_b64", "limit")
	if err != nil {
		return err
	}
	prefix, err := q.bytes("prefix")
	if err != nil {
		return err
	}
	start, err := q.bytes("start")
	if err != nil {
		return err
	}
	limit, err := q.uint("limit")
	if err != nil {
		return err
	}
	scanner, err := a.cfg.Coordinator.Scan(x.r.Context(), prefix, start)
	if err != nil {
		return err
	}
	defer func() {
		if err := scanner.Close(); err != nil {
			a.cfg.Logger.Error("close a scan", "err", err)
		}
	}()
	more := x.r.Method != http.MethodHead && scanner.Next()
	if err := scanner.Err(); err != nil {
		return err // nothing is sent yet: it can be the status
	}
	header := x.w.Header()
	header.Set("Content-Type", scanFormat)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set(watchTokenHeader, scanner.Token())
	x.status(http.StatusOK)
	return streamItems(x, scanner, more, limit)
}

// streamItems sends the keys from the one that the scanner is at. A limit of 0 is
// none. It returns the error that it has told the client, for the metrics only.
func streamItems(x *exchange, scanner *coordinator.Scan, more bool, limit uint64) error {
	out := stream{x: x, push: true}
	for sent := uint64(0); more; more = scanner.Next() {
		if err := x.ctx.Err(); err != nil {
			return endStream(&out, &sheaf.Error{Code: sheaf.NotProposed, Err: err, Detail: "the scan did not end by the caller's deadline"})
		}
		item := scanner.Item()
		out.item(&item)
		out.raw("}\n")
		if sent++; sent == limit || out.err != nil {
			break
		}
	}
	if err := scanner.Err(); err != nil {
		return endStream(&out, sheaf.AsError(err))
	}
	out.spill(0)
	return nil
}

// endStream sends the last line of a stream that did not come to its end.
func endStream(out *stream, e *sheaf.Error) error {
	out.raw(`{"error":`)
	out.raw(string(encodeProblem(problemOf(e))))
	out.raw("}\n")
	out.spill(0)
	return told{e}
}

// told is an error that the client knows already.
type told struct{ error }

// Unwrap is the error.
func (t told) Unwrap() error { return t.error }
