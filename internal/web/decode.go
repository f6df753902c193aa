package web

import (
	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/document"
	"github.com/sheafdb/sheaf/internal/wire"
)

// The fields of the bodies, as the proto has them.
var (
	putAllFields    = []string{"request_id", "entries", "consistency", "if_match", "if_none_match", "after"}
	deleteAllFields = []string{"request_id", "keys", "keys_b64", "consistency", "if_match", "if_none_match", "after"}
)

// decodePutAll reads the body of /v1/putall, which it changes. The result keeps
// nothing of it.
func decodePutAll(body []byte, limits sheaf.Limits) (wire.PutAll, error) {
	var req wire.PutAll
	d, err := document.New(body)
	if err != nil {
		return req, err
	}
	read := entryReader{Entries: document.Entries{Limits: limits}}
	raw := make([]byte, 0, min(len(body), limits.BatchBytes)+entrySlackBytes)
	err = d.Object(putAllFields, func(name string) error {
		if name != "entries" {
			return envelope(d, name, &req)
		}
		return d.Array(name, func() error {
			var err error
			raw, err = read.next(d, raw)
			return err
		})
	})
	if err != nil {
		return req, err
	}
	req.Entries, err = wire.ParseEntries(exact(raw), limits)
	return req, err
}

// exact copies an encoding out of a buffer that is much too large for it: the
// entries may be held for long after the request.
func exact(raw []byte) []byte {
	if len(raw) >= cap(raw)/2 {
		return raw
	}
	return append(make([]byte, 0, len(raw)), raw...)
}

// envelope reads a field around the entries of a write.
func envelope(d *document.Document, name string, req *wire.PutAll) (err error) {
	var text []byte
	switch name {
	case "after":
		req.After, err = d.Uint(name)
		return err
	case "consistency":
		req.Consistency, err = levelOf(d, name)
		return err
	}
	if text, err = d.Text(name); err != nil {
		return err
	}
	switch name {
	case "request_id":
		req.RequestID = string(text)
	case "if_match":
		req.IfMatch = string(text)
	case "if_none_match":
		req.IfNoneMatch = string(text)
	}
	return nil
}

// entryReader reads the entries of a batch, one at a time.
type entryReader struct {
	document.Entries
	last wire.Entry
}

// next reads one entry and appends its encoding to raw. r.last is that one until the next.
func (r *entryReader) next(d *document.Document, raw []byte) ([]byte, error) {
	if d.Index() >= r.Limits.BatchEntries {
		return nil, wire.TooManyEntries(r.Limits)
	}
	if _, err := r.Read(d, &r.last); err != nil {
		return nil, err
	}
	raw = wire.AppendEntry(raw, &r.last)
	if len(raw) > r.Limits.BatchBytes {
		return nil, sheaf.Errorf(sheaf.BatchTooLarge, "more than %d bytes (limits.batch_bytes) with entries[%d]: split the batch", r.Limits.BatchBytes, d.Index())
	}
	return raw, nil
}

// levelOf reads the name of a level.
func levelOf(d *document.Document, name string) (sheaf.Consistency, error) {
	text, err := d.Text(name)
	if err != nil {
		return 0, err
	}
	return parseConsistency(d.Field(name), string(text))
}

func parseConsistency(field, text string) (sheaf.Consistency, error) {
	level, err := sheaf.ParseConsistency(text)
	if err != nil {
		return 0, sheaf.Invalid(field, "is %q: use linearizable, sequential or eventual", document.Clip(text))
	}
	return level, nil
}
