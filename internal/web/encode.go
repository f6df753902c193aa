package web

import (
	"strconv"

	"github.com/sheafdb/sheaf/internal/coordinator"
)

// appendAnswer appends what a write answers.
func appendAnswer(dst []byte, answer coordinator.Answer) []byte {
	if answer.Accepted {
		dst = append(dst, `{"accepted":true`...)
		if answer.Replayed {
			dst = append(dst, `,"replayed":true`...)
		}
		return append(dst, "}\n"...)
	}
	dst = append(dst, `{"version":"`...)
	dst = strconv.AppendUint(dst, answer.Version, 10)
	dst = append(dst, '"')
	if answer.ETag != "" {
		dst = append(dst, `,"etag":`...)
		dst = appendString(dst, string(answer.ETag))
	}
	dst = append(dst, `,"replayed":`...)
	dst = strconv.AppendBool(dst, answer.Replayed)
	if len(answer.Parts) > 0 {
		dst = appendParts(dst, answer.Parts)
	}
	return append(dst, "}\n"...)
}

// appendParts appends what became of the parts of a SEQUENTIAL batch.
func appendParts(dst []byte, parts []coordinator.PartAnswer) []byte {
	dst = append(dst, `,"parts":[`...)
	for i, part := range parts {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"group":"`...)
		dst = strconv.AppendUint(dst, part.Group, 10)
		dst = append(dst, `","applied":`...)
		dst = strconv.AppendBool(dst, part.Applied)
		if part.Applied {
			dst = append(dst, `,"version":"`...)
			dst = strconv.AppendUint(dst, part.Version, 10)
			dst = append(dst, '"')
		} else {
			dst = append(dst, `,"reason":`...)
			dst = appendString(dst, string(part.Reason))
		}
		dst = append(dst, '}')
	}
	return append(dst, ']')
}

// appendString appends UTF-8 text as a JSON string.
func appendString(dst []byte, text string) []byte {
	return append(appendEscaped(append(dst, '"'), text), '"')
}

// appendEscaped appends a part of a JSON string (RFC 8259, section 7). Unlike
// encoding/json it leaves <, > and & as they are: this is no web page. It looks
// at single bytes, so text may be cut anywhere.
func appendEscaped[T string | []byte](dst []byte, text T) []byte {
	const hexDigits = "0123456789abcdef"
	begin := 0
	for i := range len(text) {
		c := text[i]
		if c >= 0x20 && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, text[begin:i]...)
		begin = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&0xf])
		}
	}
	return append(dst, text[begin:]...)
}
