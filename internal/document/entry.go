package document

import (
	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/wire"
)

// The fields of an entry, as the proto has them. A line has one more: lines of a scan are entries
// too, and their version is not looked at.
var (
	entryFields = []string{"key", "key_b64", "value", "value_b64", "delete", "ttl_ms", "if_version", "type_url"}
	lineFields  = append(entryFields[:len(entryFields):len(entryFields)], "version")
)

// Entries reads entries, one at a time.
type Entries struct {
	Limits sheaf.Limits
	// Lines says that they stand alone, each on a line.
	Lines bool

	// key and value are what base64 is decoded into.
	key, value []byte
}

// Read reads one into e, and says whether a value was given. What e views is the document's memory,
// or that of the next entry. That the entry keeps the limits is for whoever takes it to judge.
func (r *Entries) Read(d *Document, e *wire.Entry) (hasValue bool, err error) {
	*e = wire.Entry{}
	fields := entryFields
	if r.Lines {
		fields = lineFields
	}
	var keyFrom, valueFrom string
	err = d.Object(fields, func(name string) (err error) {
		switch name {
		case "version":
			_, err = d.Uint(name)
		case "key", "key_b64":
			if keyFrom != "" {
				return sheaf.Invalid(d.Field(name), "stands beside %s: an entry has one key", keyFrom)
			}
			keyFrom = name
			e.Key, err = r.bytes(d, name, &r.key, r.Limits.KeyBytes)
		case "value", "value_b64":
			if valueFrom != "" {
				return sheaf.Invalid(d.Field(name), "stands beside %s: an entry has one value", valueFrom)
			}
			valueFrom = name
			e.Value, err = r.bytes(d, name, &r.value, r.Limits.ValueBytes)
		case "delete":
			e.Delete, err = d.Bool(name)
		case "ttl_ms":
			e.TTLMS, err = d.TTLMS(name)
		case "if_version":
			e.IfVersion, err = d.Uint(name)
			e.HasIfVersion = true
		case "type_url":
			e.TypeURL, err = d.Text(name)
		}
		return err
	})
	if err == nil && keyFrom == "" {
		err = sheaf.Invalid(d.Field("key"), "is missing: an entry has a key (or key_b64)")
	}
	return valueFrom != "", err
}

// bytes reads a key or a value in the form that its field's name says.
func (r *Entries) bytes(d *Document, name string, into *[]byte, limit int) ([]byte, error) {
	text, err := d.Text(name)
	if err != nil || name == "key" || name == "value" {
		return text, err
	}
	if *into, err = d.FromBase64(name, (*into)[:0], text, limit); err != nil {
		return nil, err
	}
	return *into, nil
}
