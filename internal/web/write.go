package web

import (
	"net/http"
	"strconv"
	"time"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/telemetry"
	"github.com/sheafdb/sheaf/internal/wire"
)

// putAll serves POST /v1/putall.
func (a *api) putAll(x *exchange) error { return a.writeBatch(x, decodePutAll) }

// deleteAll serves POST /v1/deleteall.
func (a *api) deleteAll(x *exchange) error { return a.writeBatch(x, decodeDeleteAll) }

func (a *api) writeBatch(x *exchange, decode func([]byte, sheaf.Limits) (wire.PutAll, error)) error {
	body, err := a.jsonBody(x)
	if err != nil {
		return err
	}
	begin := time.Now()
	req, err := decode(body, a.cfg.Limits)
	x.stages.Since(telemetry.Decode, begin)
	if err != nil {
		return err
	}
	x.keep(len(req.Entries.Raw())) // nothing views the body
	if err := addHeaders(x.r.Header, &req); err != nil {
		return err
	}
	if req.RequestID == "" {
		return sheaf.Errorf(sheaf.RequestIDRequired, "send the header Idempotency-Key with a fresh ID for each batch, and repeat it on retries")
	}
	return a.write(x, &req)
}

// jsonBody reads a JSON body and counts what decoding it will cost.
func (a *api) jsonBody(x *exchange) ([]byte, error) {
	if err := x.checkMedia(); err != nil {
		return nil, err
	}
	body, err := x.readBody(a.bodyLimitBytes, func(int64) error {
		return sheaf.Errorf(sheaf.BatchTooLarge, "the body has more than the %d bytes that are allowed for a batch in JSON: split it", a.bodyLimitBytes)
	})
	if err != nil {
		return nil, err
	}
	return body, x.reserve(min(decodeCostBytes(body, a.cfg.Limits), a.decodeLimitBytes))
}

// putKey serves PUT /v1/keys/{key}.
func (a *api) putKey(x *exchange) error {
	q, err := parseQuery(x.r.URL.RawQuery, "ttl_ms", "consistency", "after")
	if err != nil {
		return err
	}
	entry := wire.Entry{Key: x.key, TypeURL: []byte(x.r.Header.Get(typeURLHeader))}
	if entry.TTLMS, err = q.ttlMS("ttl_ms"); err != nil {
		return err
	}
	if err := x.checkEncoding(); err != nil {
		return err
	}
	limit := int64(a.cfg.Limits.ValueBytes)
	if entry.Value, err = x.readBody(limit, func(int64) error {
		return sheaf.Errorf(sheaf.BatchTooLarge, "the value has more than the %d bytes that are allowed (limits.value_bytes)", limit)
	}); err != nil {
		return err
	}
	return a.writeKey(x, q, &entry)
}

// deleteKey serves DELETE /v1/keys/{key}. Deleting a key that is not there
// succeeds: that it is not there is all that was asked for.
func (a *api) deleteKey(x *exchange) error {
	q, err := parseQuery(x.r.URL.RawQuery, "consistency", "after")
	if err != nil {
		return err
	}
	return a.writeKey(x, q, &wire.Entry{Key: x.key, Delete: true})
}

// writeKey writes a batch of one entry. A request ID is not required, so that one
// key can be written with nothing but its value; without one, a retry is a second
// write, with a version of its own.
func (a *api) writeKey(x *exchange, q query, entry *wire.Entry) error {
	var req wire.PutAll
	var err error
	if req.Consistency, req.After, err = q.levelAndAfter(); err != nil {
		return err
	}
	if err := addHeaders(x.r.Header, &req); err != nil {
		return err
	}
	if err := x.reserve(int64(len(entry.Key) + len(entry.Value))); err != nil {
		return err
	}
	begin := time.Now()
	raw := make([]byte, 0, entrySlackBytes+len(entry.Key)+len(entry.Value)+len(entry.TypeURL))
	req.Entries, err = wire.ParseEntries(wire.AppendEntry(raw, entry), a.cfg.Limits)
	x.stages.Since(telemetry.Decode, begin)
	if err != nil {
		return ofOneKey(err)
	}
	return a.write(x, &req)
}

// entrySlackBytes is more than the tags, lengths and numbers of an entry.
const entrySlackBytes = 64

// write hands a batch to the coordinator and answers.
func (a *api) write(x *exchange, req *wire.PutAll) error {
	x.batch = telemetry.PutAllSample{
		Consistency: req.Consistency.String(), Entries: req.Entries.Len(), Bytes: len(req.Entries.Raw()),
	}
	answer, err := a.cfg.Coordinator.PutAll(x.ctx, req, &x.stages)
	if err != nil {
		return err
	}
	begin := time.Now()
	body := appendAnswer(nil, answer)
	header := x.w.Header()
	header.Set("Content-Type", "application/json")
	status := http.StatusAccepted
	if !answer.Accepted {
		status = http.StatusOK
		if answer.ETag != "" { // of a batch whose parts were not all applied there is none
			header.Set("ETag", string(answer.ETag))
		}
		header.Set(versionHeader, strconv.FormatUint(answer.Version, 10))
	}
	x.stages.Since(telemetry.Respond, begin)
	x.serverTiming()
	x.status(status)
	_ = x.write(body) // the client is gone: it asks again with the same request ID
	return nil
}
