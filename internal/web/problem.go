package web

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sheafdb/sheaf"
)

// problem is an error as a problem document (RFC 9457).
type problem struct {
	Type    string        `json:"type"`
	Title   string        `json:"title"`
	Status  int           `json:"status"`
	Detail  string        `json:"detail"`
	Reason  sheaf.Code    `json:"reason"`
	Retry   sheaf.Retry   `json:"retry"`
	Outcome sheaf.Outcome `json:"outcome"`

	CurrentETag  sheaf.ETag       `json:"current_etag,omitempty"`
	Token        string           `json:"token,omitempty"`
	Keys         []string         `json:"keys,omitempty"`
	KeysB64      [][]byte         `json:"keys_b64,omitempty"`
	Errors       []malformedField `json:"errors,omitempty"`
	RetryAfterMS int64            `json:"retry_after_ms,omitempty"`
}

type malformedField struct {
	Field   string `json:"field"`
	Problem string `json:"problem"`
}

func problemOf(e *sheaf.Error) problem {
	row, _ := e.Code.Row()
	p := problem{
		Type:  "urn:sheaf:error:" + strings.ReplaceAll(strings.ToLower(string(row.Code)), "_", "-"),
		Title: row.Title, Status: e.HTTP(), Detail: detailOf(e, row),
		Reason: row.Code, Retry: row.Retry, Outcome: row.Outcome,
		CurrentETag: e.CurrentETag, Token: e.Token,
	}
	if e.RetryAfter > 0 {
		p.RetryAfterMS = max(e.RetryAfter.Milliseconds(), 1)
	}
	for _, key := range e.Keys {
		if utf8.Valid(key) {
			p.Keys = append(p.Keys, string(key))
		} else {
			p.KeysB64 = append(p.KeysB64, key)
		}
	}
	for _, f := range e.Fields {
		p.Errors = append(p.Errors, malformedField(f))
	}
	return p
}

// detailOf says what is wrong in this case, else what the table says to do. The
// cause of damage names the file, which the operator needs; other causes are
// for the log.
func detailOf(e *sheaf.Error, row sheaf.Row) string {
	switch {
	case e.Code == sheaf.Corruption && e.Err != nil:
		return strings.TrimPrefix(e.Detail+": "+e.Err.Error(), ": ")
	case e.Detail != "":
		return e.Detail
	}
	return row.Next
}

// writeProblem answers an exchange that has no answer yet.
func writeProblem(x *exchange, e *sheaf.Error) {
	p := problemOf(e)
	header := x.w.Header()
	// Whatever the handler said of its own answer is not true of this one.
	for _, name := range []string{"ETag", versionHeader, typeURLHeader, watchTokenHeader, "Content-Length", "Cache-Control"} {
		header.Del(name)
	}
	header.Set("Content-Type", "application/problem+json")
	header.Set("X-Content-Type-Options", "nosniff")
	if e.RetryAfter > 0 {
		seconds := int64((e.RetryAfter + time.Second - 1) / time.Second)
		header.Set("Retry-After", strconv.FormatInt(seconds, 10))
	}
	x.serverTiming()
	x.status(p.Status)
	_ = x.write(append(encodeProblem(p), '\n')) // the client is gone: nobody to tell
}

func encodeProblem(p problem) []byte {
	encoded, err := json.Marshal(p)
	if err != nil {
		panic(err) // strings and numbers: it cannot fail
	}
	return encoded
}

// serverTiming sends the stages so far, unless there are none.
func (x *exchange) serverTiming() {
	if text := x.stages.ServerTiming(); text != "" {
		x.w.Header().Set("Server-Timing", text)
	}
}
