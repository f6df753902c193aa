package wire

import (
	"encoding/binary"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// Entry is one entry of a batch. Its slices point into the bytes that it was
// read from, and live as long as those.
type Entry struct {
	Key, Value, TypeURL []byte
	TTLMS               int64
	IfVersion           uint64
	HasIfVersion        bool
	Delete              bool
}

// Field numbers of sheaf.v1.Entry. if_version stands last so that the part of
// an entry that its fingerprint covers is one run of bytes.
const (
	fieldKey       protowire.Number = 1
	fieldValue     protowire.Number = 2
	fieldDelete    protowire.Number = 3
	fieldTTLMS     protowire.Number = 4
	fieldTypeURL   protowire.Number = 5
	fieldIfVersion protowire.Number = 6
)

// The tags of those fields, as the single bytes that they encode to.
const (
	tagKey       = byte(fieldKey)<<3 | byte(protowire.BytesType)
	tagValue     = byte(fieldValue)<<3 | byte(protowire.BytesType)
	tagDelete    = byte(fieldDelete)<<3 | byte(protowire.VarintType)
	tagTTLMS     = byte(fieldTTLMS)<<3 | byte(protowire.VarintType)
	tagTypeURL   = byte(fieldTypeURL)<<3 | byte(protowire.BytesType)
	tagIfVersion = byte(fieldIfVersion)<<3 | byte(protowire.VarintType)
)

// AppendEntryBody appends the canonical encoding of an entry without tag and length.
func AppendEntryBody(dst []byte, e *Entry) []byte { return appendBody(dst, e) }

// appendBody appends the canonical encoding of e without its length.
func appendBody(dst []byte, e *Entry) []byte {
	dst = appendUnconditional(dst, e)
	if e.HasIfVersion {
		dst = append(dst, tagIfVersion)
		dst = binary.AppendUvarint(dst, e.IfVersion)
	}
	return dst
}

// appendUnconditional is appendBody without if_version: what a fingerprint covers.
func appendUnconditional(dst []byte, e *Entry) []byte {
	dst = append(dst, tagKey)
	dst = protowire.AppendBytes(dst, e.Key)
	if len(e.Value) > 0 {
		dst = append(dst, tagValue)
		dst = protowire.AppendBytes(dst, e.Value)
	}
	if e.Delete {
		dst = append(dst, tagDelete, 1)
	}
	if e.TTLMS != 0 {
		dst = append(dst, tagTTLMS)
		dst = binary.AppendUvarint(dst, uint64(e.TTLMS))
	}
	if len(e.TypeURL) > 0 {
		dst = append(dst, tagTypeURL)
		dst = protowire.AppendBytes(dst, e.TypeURL)
	}
	return dst
}

// bodySize is len(appendBody(nil, e)).
func bodySize(e *Entry) int {
	n := unconditionalSize(e)
	if e.HasIfVersion {
		n += 1 + protowire.SizeVarint(e.IfVersion)
	}
	return n
}

func unconditionalSize(e *Entry) int {
	n := 1 + protowire.SizeBytes(len(e.Key))
	if len(e.Value) > 0 {
		n += 1 + protowire.SizeBytes(len(e.Value))
	}
	if e.Delete {
		n += 2
	}
	if e.TTLMS != 0 {
		n += 1 + protowire.SizeVarint(uint64(e.TTLMS))
	}
	if len(e.TypeURL) > 0 {
		n += 1 + protowire.SizeBytes(len(e.TypeURL))
	}
	return n
}

// parseUsual reads the body of an entry that is a key, or a key and a value of less than
// 16 KiB, in canonical form; ok is false for every other, which parseEntry reads. Of what
// it reads it says the same as parseEntry.
func parseUsual(body []byte) (key, value []byte, ok bool) {
	if len(body) < 3 || body[0] != tagKey || body[1] >= 0x80 || body[1] == 0 {
		return nil, nil, false
	}
	end := 2 + int(body[1])
	switch {
	case end == len(body):
		return body[2:end:end], nil, true
	case end+2 > len(body) || body[end] != tagValue:
		return nil, nil, false
	}
	begin, size := end+2, int(body[end+1])
	if size >= 0x80 {
		if begin == len(body) || body[begin] >= 0x80 || body[begin] == 0 {
			return nil, nil, false
		}
		size = size&0x7f | int(body[begin])<<7
		begin++
	}
	if size == 0 || begin+size != len(body) {
		return nil, nil, false
	}
	return body[2:end:end], body[begin:], true
}

// parseEntry reads one entry from its body, whatever order its fields have.
// problem is "" or says what is malformed; canonical reports whether appendBody
// would give back the same bytes.
func parseEntry(body []byte) (e Entry, canonical bool, problem string) {
	canonical = true
	var last protowire.Number
	rest := body
	for len(rest) > 0 {
		num, typ, n := protowire.ConsumeTag(rest)
		if n < 0 {
			return e, false, "has a malformed field tag"
		}
		canonical = canonical && n == 1 && num > last
		last = num
		rest = rest[n:]
		var size int
		var v uint64
		switch {
		case num == fieldKey && typ == protowire.BytesType:
			e.Key, size = protowire.ConsumeBytes(rest)
			canonical = canonical && size == protowire.SizeBytes(len(e.Key))
		case num == fieldValue && typ == protowire.BytesType:
			e.Value, size = protowire.ConsumeBytes(rest)
			canonical = canonical && len(e.Value) > 0 && size == protowire.SizeBytes(len(e.Value))
		case num == fieldTypeURL && typ == protowire.BytesType:
			e.TypeURL, size = protowire.ConsumeBytes(rest)
			canonical = canonical && len(e.TypeURL) > 0 && size == protowire.SizeBytes(len(e.TypeURL))
		case num == fieldDelete && typ == protowire.VarintType:
			v, size = protowire.ConsumeVarint(rest)
			e.Delete = v != 0
			canonical = canonical && v == 1 && size == 1
		case num == fieldTTLMS && typ == protowire.VarintType:
			v, size = protowire.ConsumeVarint(rest)
			e.TTLMS = int64(v)
			canonical = canonical && v != 0 && size == protowire.SizeVarint(v)
		case num == fieldIfVersion && typ == protowire.VarintType:
			v, size = protowire.ConsumeVarint(rest)
			e.IfVersion, e.HasIfVersion = v, true
			canonical = canonical && size == protowire.SizeVarint(v)
		default:
			// Protobuf's rule for a field nobody knows is to skip it.
			size = protowire.ConsumeFieldValue(num, typ, rest)
			canonical = false
		}
		if size < 0 {
			return e, false, "is cut short or malformed"
		}
		rest = rest[size:]
	}
	if !utf8.Valid(e.TypeURL) {
		return e, false, "has a type_url that is not UTF-8"
	}
	return e, canonical && len(e.Key) > 0, ""
}
