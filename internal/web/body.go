package web

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"os"
	"strings"
	"time"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/document"
)

// readStepBytes is how much of a body is read at a time, and the first buffer of
// a body whose size was not announced.
const readStepBytes = 64 << 10

// readBody reads the whole body, of at most limit bytes. Its bytes are counted
// at the Gate before they are read. tooLarge makes the error for a larger body
// from the number of bytes that it announced, 0 if it did not.
func (x *exchange) readBody(limit int64, tooLarge func(announced int64) error) ([]byte, error) {
	size := x.r.ContentLength
	if size > limit {
		return nil, tooLarge(size)
	}
	var body []byte
	var err error
	if size >= 0 {
		body, err = x.readAnnounced(size)
	} else {
		body, err = x.readUnannounced(limit, tooLarge)
	}
	if err != nil {
		return nil, err
	}
	x.bodyRead()
	return body, nil
}

func (x *exchange) readAnnounced(size int64) ([]byte, error) {
	if err := x.reserve(size); err != nil {
		return nil, err
	}
	body := make([]byte, size)
	for at := 0; at < len(body); {
		n, err := x.readSome(body[at:])
		at += n
		if err == io.EOF && at < len(body) {
			err = io.ErrUnexpectedEOF
		}
		if err != nil && err != io.EOF {
			return nil, bodyError(x.ctx, err)
		}
	}
	return body, nil
}

// readUnannounced reads a chunked body into a buffer that doubles.
func (x *exchange) readUnannounced(limit int64, tooLarge func(int64) error) ([]byte, error) {
	// One byte more than is allowed tells a body that ends from one that does not.
	room := min(limit+1, readStepBytes)
	if err := x.reserve(room); err != nil {
		return nil, err
	}
	body := make([]byte, 0, room)
	for {
		if int64(len(body)) > limit {
			return nil, tooLarge(0)
		}
		if len(body) == cap(body) {
			// The old buffer and the larger one are both held while one is
			// copied into the other.
			old := int64(cap(body))
			room = min(2*old, limit+1)
			if err := x.reserve(room); err != nil {
				return nil, err
			}
			body = append(make([]byte, 0, room), body...)
			x.release(old)
		}
		n, err := x.readSome(body[len(body):cap(body)])
		body = body[:len(body)+n]
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, bodyError(x.ctx, err)
		}
	}
	if int64(len(body)) > limit {
		return nil, tooLarge(0)
	}
	return body, nil
}

// readSome reads what is there, at most readStepBytes.
func (x *exchange) readSome(into []byte) (int, error) {
	x.extendRead()
	return x.r.Body.Read(into[:min(len(into), readStepBytes)])
}

// bodyError says why a body did not arrive. Nothing was done with it.
func bodyError(ctx context.Context, err error) error {
	own, has := ctx.Deadline()
	switch {
	case has && !time.Now().Before(own):
		return &sheaf.Error{Code: sheaf.NotProposed, Err: context.DeadlineExceeded, Detail: "the body had not arrived by the caller's deadline"}
	case ctx.Err() != nil:
		return &sheaf.Error{Code: sheaf.NotProposed, Err: ctx.Err(), Detail: "the caller left before its body had arrived"}
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &sheaf.Error{
			Code: sheaf.NotProposed, Err: context.DeadlineExceeded,
			Detail: "the body stood still for too long: " + progressTimeout.String(),
		}
	case errors.Is(err, io.ErrUnexpectedEOF):
		return &sheaf.Error{Code: sheaf.NotProposed, Err: context.Canceled, Detail: "the body ended early"}
	}
	return sheaf.Invalid("body", "cannot be read: %s", err)
}

// checkMedia refuses a body that is said to be something else than JSON.
func (x *exchange) checkMedia() error {
	if err := x.checkEncoding(); err != nil {
		return err
	}
	text := x.r.Header.Get("Content-Type")
	if text == "" {
		return nil
	}
	media, params, err := mime.ParseMediaType(text)
	if err != nil || media != "application/json" {
		return sheaf.Errorf(sheaf.UnsupportedMediaType, "Content-Type is %q: send application/json (curl --json does)", document.Clip(text))
	}
	if charset := params["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") {
		return sheaf.Errorf(sheaf.UnsupportedMediaType, "Content-Type is %q: JSON is UTF-8, so leave charset out", document.Clip(text))
	}
	return nil
}

// checkEncoding refuses a compressed body: its bytes are not what is meant.
func (x *exchange) checkEncoding() error {
	if text := x.r.Header.Get("Content-Encoding"); text != "" && text != "identity" {
		return sheaf.Errorf(sheaf.UnsupportedMediaType, "Content-Encoding is %q: send the body as it is", document.Clip(text))
	}
	return nil
}

// decodeCostBytes is what decoding a JSON body may hold beside it: the encoded
// entries or keys, which are never larger than their JSON but for a few bytes
// each; half as much again when they are copied into memory of their size; and
// what finds duplicates among them. The commas bound how many there are.
func decodeCostBytes(body []byte, limits sheaf.Limits) int64 {
	const eachBytes = 128
	count := min(bytes.Count(body, []byte{','})+1, limits.BatchEntries+1)
	size := min(len(body), limits.BatchBytes)
	return int64(size) + int64(size)/2 + int64(count)*eachBytes
}
