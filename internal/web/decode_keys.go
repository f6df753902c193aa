package web

import (
	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/coordinator"
	"github.com/sheafdb/sheaf/internal/document"
	"github.com/sheafdb/sheaf/internal/wire"
)

var getAllFields = []string{"keys", "keys_b64", "consistency", "after"}

// keyList gathers the keys of a request that names only keys: those of "keys"
// come first and then those of "keys_b64", however the body orders the fields.
type keyList struct {
	limits sheaf.Limits
	// plain view the body, which must therefore be kept; decoded do not.
	plain, decoded [][]byte
	memory         []byte // holds decoded, together with what it outgrew
}

// next reads one key, of the list that d is in.
func (l *keyList) next(d *document.Document, name string) error {
	if len(l.plain)+len(l.decoded) >= l.limits.BatchEntries {
		return sheaf.Errorf(sheaf.BatchTooLarge, "more than %d keys (limits.batch_entries): split the request", l.limits.BatchEntries)
	}
	key, err := d.Text("")
	if err != nil {
		return err
	}
	if name == "keys_b64" {
		begin := len(l.memory)
		if l.memory, err = d.FromBase64("", l.memory, key, l.limits.KeyBytes); err != nil {
			return err
		}
		key = l.memory[begin:len(l.memory):len(l.memory)]
	}
	switch {
	case len(key) == 0:
		return sheaf.Invalid(d.Field(""), "is empty")
	case len(key) > l.limits.KeyBytes:
		return sheaf.Invalid(d.Field(""), "has %d bytes: at most %d are allowed", len(key), l.limits.KeyBytes)
	}
	if name == "keys_b64" {
		l.decoded = append(l.decoded, key)
	} else {
		l.plain = append(l.plain, key)
	}
	return nil
}

func (l *keyList) all() [][]byte {
	if len(l.plain) == 0 {
		return l.decoded
	}
	return append(l.plain, l.decoded...)
}

// decodeGetAll reads the body of /v1/getall, which it changes. The keys of the
// result view it.
func decodeGetAll(body []byte, limits sheaf.Limits) (coordinator.GetAll, error) {
	var req coordinator.GetAll
	keys := keyList{limits: limits}
	d, err := document.New(body)
	if err != nil {
		return req, err
	}
	err = d.Object(getAllFields, func(name string) (err error) {
		switch name {
		case "keys", "keys_b64":
			return d.Array(name, func() error { return keys.next(d, name) })
		case "consistency":
			req.Consistency, err = levelOf(d, name)
		case "after":
			req.After, err = d.Uint(name)
		}
		return err
	})
	req.Keys = keys.all()
	return req, err
}

// decodeDeleteAll reads the body of /v1/deleteall, which it changes. The result
// keeps nothing of it.
func decodeDeleteAll(body []byte, limits sheaf.Limits) (wire.PutAll, error) {
	var req wire.PutAll
	keys := keyList{limits: limits}
	d, err := document.New(body)
	if err != nil {
		return req, err
	}
	err = d.Object(deleteAllFields, func(name string) error {
		if name != "keys" && name != "keys_b64" {
			return envelope(d, name, &req)
		}
		return d.Array(name, func() error { return keys.next(d, name) })
	})
	if err != nil {
		return req, err
	}
	req.Entries, err = wire.EncodeDeletes(keys.all(), keys.field, limits)
	return req, err
}

// field is how the caller named the i-th key of all.
func (l *keyList) field(i int) string {
	if i >= len(l.plain) {
		return document.Element("keys_b64", i-len(l.plain))
	}
	return document.Element("keys", i)
}
