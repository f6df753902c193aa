package web

import (
	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/wire"
)

// The fields of the bodies, as the proto has them.
var (
	putAllFields    = []string{"request_id", "entries", "consistency", "if_match", "if_none_match", "after"}
	deleteAllFields = []string{"request_id", "keys", "keys_b64", "consistency", "if_match", "if_none_match", "after"}
	entryFields     = []string{"key", "key_b64", "value", "value_b64", "delete", "ttl_ms", "if_version", "type_url"}
)

// decodePutAll reads the body of /v1/putall, which it changes. The result keeps
// nothing of it.
func decodePutAll(body []byte, limits sheaf.Limits) (wire.PutAll, error) {
	var req wire.PutAll
	d, err := newDocument(body)
	if err != nil {
		return req, err
	}
	read := entryReader{d: d, limits: limits}
	raw := make([]byte, 0, min(len(body), limits.BatchBytes)+entrySlackBytes)
	err = d.object(putAllFields, func(name string) error {
		if name != "entries" {
			return d.envelope(name, &req)
		}
		return d.array(name, func() error {
			var err error
			raw, err = read.next(raw)
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
func (d *document) envelope(name string, req *wire.PutAll) (err error) {
	var text []byte
	switch name {
	case "after":
		req.After, err = d.uint(name)
		return err
	case "consistency":
		req.Consistency, err = d.consistency(name)
		return err
	}
	if text, err = d.string(name); err != nil {
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
	d      *document
	limits sheaf.Limits
	// fields are those that an entry may have: nil is entryFields.
	fields []string
	// last is the key of the last entry, until the next.
	last []byte
	// key and value are what base64 is decoded into; they live for one entry.
	key, value []byte
}

// next reads one entry and appends its encoding to raw.
func (r *entryReader) next(raw []byte) ([]byte, error) {
	d := r.d
	if d.index >= r.limits.BatchEntries {
		return nil, wire.TooManyEntries(r.limits)
	}
	var e wire.Entry
	var keyFrom, valueFrom string
	fields := r.fields
	if fields == nil {
		fields = entryFields
	}
	err := d.object(fields, func(name string) (err error) {
		switch name {
		case "version":
			_, err = d.uint(name)
		case "key", "key_b64":
			if keyFrom != "" {
				return sheaf.Invalid(d.field(name), "stands beside %s: an entry has one key", keyFrom)
			}
			keyFrom = name
			e.Key, err = r.bytes(name, &r.key, r.limits.KeyBytes)
		case "value", "value_b64":
			if valueFrom != "" {
				return sheaf.Invalid(d.field(name), "stands beside %s: an entry has one value", valueFrom)
			}
			valueFrom = name
			e.Value, err = r.bytes(name, &r.value, r.limits.ValueBytes)
		case "delete":
			e.Delete, err = d.bool(name)
		case "ttl_ms":
			e.TTLMS, err = d.ttlMS(name)
		case "if_version":
			e.IfVersion, err = d.uint(name)
			e.HasIfVersion = true
		case "type_url":
			e.TypeURL, err = d.string(name)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if keyFrom == "" {
		return nil, sheaf.Invalid(d.field("key"), "is missing: an entry has a key (or key_b64)")
	}
	r.last = e.Key
	raw = wire.AppendEntry(raw, &e)
	if len(raw) > r.limits.BatchBytes {
		return nil, sheaf.Errorf(sheaf.BatchTooLarge, "more than %d bytes (limits.batch_bytes) with entries[%d]: split the batch", r.limits.BatchBytes, d.index)
	}
	return raw, nil
}

// bytes reads a key or a value in the form that its field's name says.
func (r *entryReader) bytes(name string, into *[]byte, limit int) ([]byte, error) {
	text, err := r.d.string(name)
	if err != nil || name == "key" || name == "value" {
		return text, err
	}
	if *into, err = r.d.fromBase64(name, (*into)[:0], text, limit); err != nil {
		return nil, err
	}
	return *into, nil
}

// fromBase64 appends what the text of a field stands for. Text that is far above
// the limit is not decoded, so that it costs no memory; what is near it is judged
// with the rest of its entry.
func (d *document) fromBase64(name string, dst, text []byte, limit int) ([]byte, error) {
	if len(text) > 2*limit+4 {
		return nil, tooLong(d.field(name), name, limit)
	}
	out, err := decodeBase64(dst, text)
	if err != nil {
		return nil, sheaf.Invalid(d.field(name), "is not base64: %s", err)
	}
	return out, nil
}

func tooLong(field, name string, limit int) error {
	if name == "value_b64" {
		return sheaf.Errorf(sheaf.BatchTooLarge, "%s has more than the %d bytes that are allowed (limits.value_bytes)", field, limit)
	}
	return sheaf.Invalid(field, "has more than the %d bytes that are allowed", limit)
}
