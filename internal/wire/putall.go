package wire

import (
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/sheafdb/sheaf"
)

// PutAll is a decoded sheaf.v1.PutAllRequest. Entries may view the message.
type PutAll struct {
	RequestID   string
	Entries     Entries
	Consistency sheaf.Consistency
	IfMatch     string
	IfNoneMatch string
	After       uint64
	// Source has the bytes that Entries views, as in Command.
	Source *Buffer
}

// DecodePutAll reads an encoded PutAllRequest in place. The result views msg,
// which must not change while it is used. Errors are *sheaf.Error.
func DecodePutAll(msg []byte, limits sheaf.Limits) (PutAll, error) {
	req, raw, err := splitPutAll(msg)
	if err == nil {
		req.Entries, err = ParseEntries(raw, limits)
	}
	return req, err
}

// DecodePutBundle reads an encoded PutBundleRequest like DecodePutAll. Its fields are some of
// those of a PutAllRequest.
func DecodePutBundle(msg []byte, limits sheaf.Limits) (PutAll, error) {
	req, raw, err := splitPutAll(msg)
	if err == nil {
		req.Entries, err = ParseBundle(raw, limits)
	}
	req.IfMatch, req.IfNoneMatch = "", "" // not fields of this message
	return req, err
}

// splitPutAll reads the fields of a request, and gathers its encoded entries.
func splitPutAll(msg []byte) (req PutAll, raw []byte, err error) {
	var scattered []byte // entries gathered, when other fields stand between them
	start, end := -1, -1
	rest := msg
	for len(rest) > 0 {
		at := len(msg) - len(rest)
		num, typ, n := protowire.ConsumeTag(rest)
		if n < 0 {
			return req, nil, sheaf.Invalid("request", "is not a protobuf message: malformed tag at byte %d", at)
		}
		size := protowire.ConsumeFieldValue(num, typ, rest[n:])
		if size < 0 {
			return req, nil, sheaf.Invalid("request", "is not a protobuf message: malformed field %d at byte %d", num, at)
		}
		value := rest[n : n+size]
		rest = rest[n+size:]
		switch {
		case num == 2 && typ == protowire.BytesType:
			switch {
			case n != 1: // a padded tag: walked as one byte later, so rewrite it
				if scattered == nil && start >= 0 {
					scattered = append(scattered, msg[start:end]...)
				}
				scattered = append(append(scattered, tagEntries), value...)
				start, end = at, at
			case scattered != nil:
				scattered = append(append(scattered, tagEntries), value...)
			case start < 0:
				start, end = at, at+n+size
			case end == at:
				end = at + n + size
			default:
				scattered = append(append([]byte{}, msg[start:end]...), msg[at:at+n+size]...)
			}
		case typ == protowire.BytesType:
			text, _ := protowire.ConsumeBytes(value)
			switch num {
			case 1:
				req.RequestID = string(text)
			case 4:
				req.IfMatch = string(text)
			case 5:
				req.IfNoneMatch = string(text)
			}
		case typ == protowire.VarintType:
			v, _ := protowire.ConsumeVarint(value)
			switch num {
			case 3:
				level, err := LevelOf(v)
				if err != nil {
					return req, nil, err
				}
				req.Consistency = level
			case 6:
				req.After = v
			}
		}
	}
	raw = scattered
	if raw == nil && start >= 0 {
		raw = msg[start:end:end]
	}
	return req, raw, nil
}

// LevelOf maps the number of sheaf.v1.Consistency to a level.
func LevelOf(v uint64) (sheaf.Consistency, error) {
	switch v {
	case 0, 1:
		return sheaf.Linearizable, nil
	case 2:
		return sheaf.Sequential, nil
	case 3:
		return sheaf.Eventual, nil
	}
	return 0, sheaf.Invalid("consistency", "is %d, which is no level: use LINEARIZABLE (1), SEQUENTIAL (2) or EVENTUAL (3)", v)
}

// AppendPutAll appends the encoding of a PutAllRequest whose entries are raw, a
// run made by AppendEntry.
func AppendPutAll(dst []byte, req *PutAll, raw []byte) []byte {
	appendText := func(num protowire.Number, text string) {
		if text != "" {
			dst = protowire.AppendTag(dst, num, protowire.BytesType)
			dst = protowire.AppendString(dst, text)
		}
	}
	appendText(1, req.RequestID)
	dst = append(dst, raw...)
	if req.Consistency != sheaf.Linearizable {
		dst = protowire.AppendTag(dst, 3, protowire.VarintType)
		dst = protowire.AppendVarint(dst, uint64(req.Consistency)+1)
	}
	appendText(4, req.IfMatch)
	appendText(5, req.IfNoneMatch)
	if req.After != 0 {
		dst = protowire.AppendTag(dst, 6, protowire.VarintType)
		dst = protowire.AppendVarint(dst, req.After)
	}
	return dst
}

// CheckRepeated refuses a message in which a repeated field occurs more often
// than a batch may have entries: a decoded field costs far more memory than its
// few bytes, so it is counted before it is decoded. name is the field's.
func CheckRepeated(msg []byte, field protowire.Number, name string, limits sheaf.Limits) error {
	count := 0
	for rest := msg; len(rest) > 0; {
		num, typ, n := protowire.ConsumeTag(rest)
		if n < 0 {
			return sheaf.Invalid("request", "is not a protobuf message: malformed tag at byte %d", len(msg)-len(rest))
		}
		size := protowire.ConsumeFieldValue(num, typ, rest[n:])
		if size < 0 {
			return sheaf.Invalid("request", "is not a protobuf message: malformed field %d at byte %d", num, len(msg)-len(rest))
		}
		rest = rest[n+size:]
		if num != field {
			continue
		}
		if count++; count > limits.BatchEntries {
			return sheaf.Errorf(sheaf.BatchTooLarge, "more than %d %s (limits.batch_entries): split the request", limits.BatchEntries, name)
		}
	}
	return nil
}
