package anybatch

import "google.golang.org/protobuf/encoding/protowire"

// The field numbers of google.protobuf.Any.
const (
	anyTypeURL protowire.Number = 1
	anyValue   protowire.Number = 2
)

// nextField returns the first length-delimited field of that number in an encoded
// message, and what follows it. The field is nil when there is none left, and
// empty but not nil when it has no bytes. A field of that number and another wire
// type is unknown to protobuf, and passed over like any other.
func nextField(message []byte, field protowire.Number) (body, rest []byte, err error) {
	for len(message) > 0 {
		number, wireType, n := protowire.ConsumeTag(message)
		if n < 0 {
			return nil, nil, protowire.ParseError(n)
		}
		message = message[n:]
		if number == field && wireType == protowire.BytesType {
			body, n := protowire.ConsumeBytes(message)
			if n < 0 {
				return nil, nil, protowire.ParseError(n)
			}
			return body, message[n:], nil
		}
		n = protowire.ConsumeFieldValue(number, wireType, message)
		if n < 0 {
			return nil, nil, protowire.ParseError(n)
		}
		message = message[n:]
	}
	return nil, nil, nil
}

// splitAny finds the two fields of an encoded google.protobuf.Any. Of a field that
// is there more than once the last counts, as everywhere in protobuf.
func splitAny(encoded []byte) (url, value []byte, err error) {
	if url, value, ok := splitUsualAny(encoded); ok {
		return url, value, nil
	}
	for len(encoded) > 0 {
		number, wireType, n := protowire.ConsumeTag(encoded)
		if n < 0 {
			return nil, nil, protowire.ParseError(n)
		}
		encoded = encoded[n:]
		known := wireType == protowire.BytesType && (number == anyTypeURL || number == anyValue)
		if !known {
			n = protowire.ConsumeFieldValue(number, wireType, encoded)
			if n < 0 {
				return nil, nil, protowire.ParseError(n)
			}
			encoded = encoded[n:]
			continue
		}
		body, n := protowire.ConsumeBytes(encoded)
		if n < 0 {
			return nil, nil, protowire.ParseError(n)
		}
		encoded = encoded[n:]
		if number == anyTypeURL {
			url = body
		} else {
			value = body
		}
	}
	return url, value, nil
}

// splitUsualAny splits what every encoder writes: a type URL of less than 128
// bytes, a value, and nothing else. That takes less than half the time of the loop
// above, which was a fifth of decoding a small message.
func splitUsualAny(encoded []byte) (url, value []byte, ok bool) {
	const urlTag, valueTag = byte(anyTypeURL<<3) | byte(protowire.BytesType), byte(anyValue<<3) | byte(protowire.BytesType)
	if len(encoded) < 2 || encoded[0] != urlTag || encoded[1] >= 0x80 {
		return nil, nil, false
	}
	begin := 2 + int(encoded[1])
	if len(encoded) < begin+2 || encoded[begin] != valueTag {
		return nil, nil, false
	}
	url, encoded = encoded[2:begin], encoded[begin+1:]
	size, n := uint64(encoded[0]), 1
	if size >= 0x80 {
		if size, n = protowire.ConsumeVarint(encoded); n < 0 {
			return nil, nil, false
		}
	}
	if uint64(len(encoded)-n) != size {
		return nil, nil, false
	}
	return url, encoded[n:], true
}
