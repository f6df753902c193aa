package web

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/coordinator"
	"github.com/sheafdb/sheaf/internal/telemetry"
	"github.com/sheafdb/sheaf/internal/wire"
)

// getAll serves POST /v1/getall.
func (a *api) getAll(x *exchange) error {
	body, err := a.jsonBody(x)
	if err != nil {
		return err
	}
	begin := time.Now()
	req, err := decodeGetAll(body, a.cfg.Limits)
	x.stages.Since(telemetry.Decode, begin)
	if err != nil {
		return err
	}
	values, err := a.read(x, req)
	if err != nil {
		return err
	}
	header := x.w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("ETag", string(values.ETag))
	x.serverTiming()
	x.status(http.StatusOK)
	writeItems(x, values)
	return nil
}

// read asks the coordinator. The exchange takes over the count of the answer's
// bytes until it is sent.
func (a *api) read(x *exchange, req coordinator.GetAll) (coordinator.Values, error) {
	values, err := a.cfg.Coordinator.GetAll(x.ctx, req)
	if err != nil {
		return values, err
	}
	x.reserved += values.Reserved
	return values, nil
}

// writeItems sends the answer of getall.
func writeItems(x *exchange, values coordinator.Values) {
	out := stream{x: x}
	out.raw(`{"entries":[`)
	for i := range values.Items {
		item := &values.Items[i]
		if i > 0 {
			out.raw(",")
		}
		out.item(item)
		out.raw(`,"found":`)
		out.raw(strconv.FormatBool(item.Found))
		out.raw("}")
	}
	out.raw(`],"etag":`)
	out.out = appendString(out.out, string(values.ETag))
	out.raw("}\n")
	out.spill(0)
}

// getKey serves GET and HEAD /v1/keys/{key}: the value as it is.
func (a *api) getKey(x *exchange) error {
	q, err := parseQuery(x.r.URL.RawQuery, "consistency", "after")
	if err != nil {
		return err
	}
	req := coordinator.GetAll{Keys: [][]byte{x.key}}
	if req.Consistency, req.After, err = q.levelAndAfter(); err != nil {
		return err
	}
	ifMatch, ifNoneMatch, err := readConditions(x.r.Header)
	if err != nil {
		return err
	}
	values, err := a.read(x, req)
	if err != nil {
		return ofOneKey(err)
	}
	item := values.Items[0]
	switch {
	case !item.Found:
		return sheaf.Errorf(sheaf.NotFound, "there is no such key: it was never written, or it was deleted or has expired")
	case ifMatch.Set && !ifMatch.Star && !holds(ifMatch, values.ETag):
		return &sheaf.Error{Code: sheaf.ETagMismatch, Detail: "if_match is not the key's current ETag", CurrentETag: values.ETag}
	case !headerSafe(item.TypeURL):
		return sheaf.Invalid("type_url", "of this value cannot stand in a header: read the key with /v1/getall")
	}
	header := x.w.Header()
	header.Set("ETag", string(values.ETag))
	header.Set(versionHeader, strconv.FormatUint(item.Version, 10))
	header.Set("Cache-Control", "no-cache") // a cache must ask again, with the ETag
	if item.TypeURL != "" {
		header.Set(typeURLHeader, item.TypeURL)
	}
	x.serverTiming()
	if ifNoneMatch.Star || holds(ifNoneMatch, values.ETag) {
		x.status(http.StatusNotModified)
		return nil
	}
	// A value may be anything, so no browser shall guess that it is a page.
	header.Set("Content-Type", "application/octet-stream")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Content-Length", strconv.Itoa(len(item.Value)))
	x.status(http.StatusOK)
	if x.r.Method != http.MethodHead {
		writeValue(x, item.Value)
	}
	return nil
}

// writeValue sends a value in pieces, because each has its own time to be taken.
func writeValue(x *exchange, value []byte) {
	for len(value) > 0 {
		piece := value[:min(len(value), flushBytes)]
		if x.write(piece) != nil {
			return // the client is gone
		}
		value = value[len(piece):]
	}
}

func readConditions(header http.Header) (ifMatch, ifNoneMatch wire.Match, err error) {
	text, err := conditionOf(header, "If-Match")
	if err != nil {
		return
	}
	if ifMatch, err = wire.ParseMatch("if_match", text); err != nil {
		return
	}
	if text, err = conditionOf(header, "If-None-Match"); err != nil {
		return
	}
	ifNoneMatch, err = wire.ParseWeakMatch("if_none_match", text)
	return
}

// ofOneKey renames the fields of an error about a list with one element, which
// the caller of a path of one key never sent.
func ofOneKey(err error) error {
	e := sheaf.AsError(err)
	if e.Code != sheaf.InvalidBatch || len(e.Fields) != 1 {
		return err
	}
	field := strings.TrimPrefix(e.Fields[0].Field, "entries[0].")
	switch field {
	case "keys[0]":
		field = "key"
	case "entries[0]":
		field = "request"
	}
	return sheaf.Invalid(field, "%s", e.Fields[0].Problem)
}
