package web

import (
	"net/http"
	"strings"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/document"
	"github.com/sheafdb/sheaf/internal/wire"
)

// The headers of Sheaf's own.
const (
	versionHeader    = "X-Sheaf-Version"
	typeURLHeader    = "X-Sheaf-Type-Url" // as net/http writes X-Sheaf-Type-URL
	watchTokenHeader = "Sheaf-Watch-Token"
)

// addHeaders puts the headers of a write into req, which holds what the body
// said. What both say must agree.
func addHeaders(header http.Header, req *wire.PutAll) error {
	id, err := requestIDOf(header)
	if err != nil {
		return err
	}
	if req.RequestID, err = agreed("request_id", id, req.RequestID); err != nil {
		return err
	}
	match, err := conditionOf(header, "If-Match")
	if err != nil {
		return err
	}
	if req.IfMatch, err = agreed("if_match", match, req.IfMatch); err != nil {
		return err
	}
	noneMatch, err := conditionOf(header, "If-None-Match")
	if err != nil {
		return err
	}
	req.IfNoneMatch, err = agreed("if_none_match", noneMatch, req.IfNoneMatch)
	return err
}

func agreed(field, header, body string) (string, error) {
	switch {
	case header == "" || header == body:
		return body, nil
	case body == "":
		return header, nil
	}
	return "", sheaf.Invalid(field, "is %q, but the request's header says %q: send one of them, or the same twice", document.Clip(body), document.Clip(header))
}

// requestIDOf returns the request ID of the headers, empty if there is none. An
// Idempotency-Key may be bare or a quoted string of RFC 8941. X-Request-ID counts
// when there is no Idempotency-Key: proxies add it on their own.
func requestIDOf(header http.Header) (string, error) {
	values := header.Values("Idempotency-Key")
	for _, value := range values {
		if value != values[0] {
			return "", sheaf.Invalid("request_id", "comes in more than one Idempotency-Key header")
		}
	}
	text := header.Get("Idempotency-Key")
	if text == "" {
		return header.Get("X-Request-ID"), nil
	}
	if text[0] != '"' {
		return text, nil
	}
	id, ok := unquote(text)
	if !ok {
		return "", sheaf.Invalid("request_id", "is malformed: an Idempotency-Key that begins with a quote ends with one")
	}
	if id == "" {
		return "", sheaf.Invalid("request_id", "is an empty string in quotes")
	}
	return id, nil
}

// unquote reads a string of RFC 8941: a backslash stands before a quote or
// another backslash, and nowhere else.
func unquote(text string) (string, bool) {
	var out strings.Builder
	for i := 1; i < len(text); i++ {
		switch c := text[i]; c {
		case '"':
			return out.String(), i == len(text)-1
		case '\\':
			i++
			if i == len(text) || text[i] != '"' && text[i] != '\\' {
				return "", false
			}
			out.WriteByte(text[i])
		default:
			out.WriteByte(c)
		}
	}
	return "", false
}

// conditionOf joins the values of If-Match or If-None-Match. A condition that is
// there but empty is an error: dropping it would write without it.
func conditionOf(header http.Header, name string) (string, error) {
	values := header.Values(name)
	text := strings.Join(values, ", ")
	if len(values) > 0 && text == "" {
		return "", sheaf.Invalid(strings.ReplaceAll(strings.ToLower(name), "-", "_"), "is an empty header")
	}
	return text, nil
}

// holds reports whether an ETag that this store made is one that match lists.
func holds(match wire.Match, etag sheaf.ETag) bool {
	own, err := wire.ParseMatch("etag", string(etag))
	return err == nil && len(own.Tags) == 1 && match.Has(own.Tags[0])
}

// headerSafe reports whether text arrives as it is when it is sent in a header.
func headerSafe(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < 0x20 || c == 0x7f {
			return false
		}
	}
	return strings.Trim(text, " ") == text
}
