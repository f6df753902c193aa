package web

import (
	"cmp"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/coordinator"
	"github.com/sheafdb/sheaf/internal/document"
	"github.com/sheafdb/sheaf/internal/wire"
)

const (
	// importEntries is how many lines make a batch unless the request says otherwise.
	importEntries = 1_000
	// importCutBytes ends a batch before the line that would make it larger. It is the same for
	// every import: where batches end decides what their request IDs stand for.
	importCutBytes = 4 << 20
	// importWindowMost bounds the bytes of an import's batches that are at work, and
	// importWindowPart is the share of the free memory that it may take.
	importWindowMost = 16 << 20
	importWindowPart = 8
	// importLinePart is the share of all memory that a line may take, of which there are up to
	// lineCost copies.
	importLinePart = 8
	// importNumberBytes is the room that a batch's number takes in its request ID.
	importNumberBytes = len("/4294967295")
)

// importLines serves POST /v1/import: NDJSON in, batch after batch written while the body still
// comes, one line out for each. Lines and batches are numbered from what was sent alone, so an
// import that is repeated under its Idempotency-Key has the same batches under the same IDs.
//
// The handler's goroutine reads; another waits for the batches and answers.
func (a *api) importLines(x *exchange) error {
	// First: a refusal, too, is answered while the body stands still. HTTP/2 is so anyway.
	_ = x.control.EnableFullDuplex()
	im, err := a.newImport(x)
	if err != nil {
		return err
	}
	answered := make(chan error, 1)
	go func() { answered <- im.answer() }()
	last := im.read()
	close(im.queue)
	err = <-answered
	im.stream.Close()
	im.next.keys.Release()
	if err != nil {
		return told{&sheaf.Error{Code: sheaf.OutcomeUnknown, Err: err, Detail: "the answers could not be sent"}}
	}
	if last != nil {
		return told{last}
	}
	return nil
}

// lines is an import on its way.
type lines struct {
	a      *api
	x      *exchange
	id     string
	level  sheaf.Consistency
	batch  int // entries
	window int64

	in     lineReader
	entry  entryReader
	one    []byte // the last entry
	next   gathered
	number int // of the next batch

	stream *coordinator.Stream
	queue  chan *imported
	flying byteGate
	// unread is set when the client takes no more answers.
	unread atomic.Bool
}

// gathered is a batch that is being read.
type gathered struct {
	raw   []byte
	names []byte // the keys, one behind the other
	keys  *wire.KeySet
	count int
}

// imported is a batch that was read.
type imported struct {
	flight  coordinator.Flight
	number  int
	entries int
	size    int64
	began   time.Time
	refused error // why it was not begun
}

func (a *api) newImport(x *exchange) (*lines, error) {
	q, err := parseQuery(x.r.URL.RawQuery, "batch", "consistency")
	if err != nil {
		return nil, err
	}
	im := &lines{a: a, x: x, batch: min(importEntries, a.cfg.Limits.BatchEntries)}
	if n, err := q.uint("batch"); err != nil {
		return nil, err
	} else if _, given := q["batch"]; given {
		if n < 1 || n > uint64(a.cfg.Limits.BatchEntries) {
			return nil, sheaf.Invalid("batch", "is %d: a batch has 1 to %d entries", n, a.cfg.Limits.BatchEntries)
		}
		im.batch = int(n)
	}
	if im.level, err = parseConsistency("consistency", q["consistency"]); err != nil {
		return nil, err
	}
	if err := x.checkLines(); err != nil {
		return nil, err
	}
	if im.id, err = importID(x.r.Header); err != nil {
		return nil, err
	}
	if err := a.cfg.Gate.Write(); err != nil {
		return nil, err
	}
	now, limit := a.cfg.Gate.InFlight()
	im.window = max(min(importWindowMost, (limit-now)/importWindowPart), 1)
	room := min(readStepBytes, a.bodyLimitBytes/4)
	if err := x.reserve(im.window + 2*im.cutBytes() + room); err != nil { // twice, for its keys are there twice
		return nil, err
	}
	im.in = lineReader{x: x, limit: min(a.bodyLimitBytes, limit/importLinePart), buffer: make([]byte, 0, room)}
	im.entry.Limits, im.entry.Lines = a.cfg.Limits, true
	im.next.keys = wire.NewKeySet(im.batch)
	im.stream = a.cfg.Coordinator.NewStream()
	im.queue = make(chan *imported, coordinator.MaxFlights)
	im.flying = newByteGate(im.window)
	return im, nil
}

func (im *lines) cutBytes() int64 { return int64(min(importCutBytes, im.a.cfg.Limits.BatchBytes)) }

// checkLines refuses a body that is said to be something else than lines of JSON.
func (x *exchange) checkLines() error {
	if err := x.checkEncoding(); err != nil {
		return err
	}
	text := x.r.Header.Get("Content-Type")
	if text == "" {
		return nil
	}
	if media, _, err := mime.ParseMediaType(text); err != nil || media != scanFormat && media != "application/json" {
		return sheaf.Errorf(sheaf.UnsupportedMediaType, "Content-Type is %q: send %s", document.Clip(text), scanFormat)
	}
	return nil
}

// importID is the name of the whole import, which the names of its batches begin with.
func importID(header http.Header) (string, error) {
	for _, name := range []string{"If-Match", "If-None-Match"} {
		if header.Get(name) != "" {
			return "", sheaf.Invalid(name, "is a condition of one batch, and an import has many: give lines an if_version")
		}
	}
	id, err := requestIDOf(header)
	switch {
	case err != nil:
		return "", err
	case id == "":
		return "", sheaf.Errorf(sheaf.RequestIDRequired, "send the header Idempotency-Key with a fresh ID for each import, and repeat it when the import is repeated")
	case len(id) > sheaf.MaxRequestIDBytes-importNumberBytes:
		return "", sheaf.Invalid("request_id", "has %d characters: that of an import has at most %d, because the number of the batch is added", len(id), sheaf.MaxRequestIDBytes-importNumberBytes)
	}
	if err := sheaf.RequestID(id).Validate(); err != nil {
		return "", sheaf.Invalid("request_id", "%s", err)
	}
	return id, nil
}

// requestID names the n-th batch.
func (im *lines) requestID(n int) string { return im.id + "/" + strconv.Itoa(n) }

// ofOne makes an error about the only entry of a batch not name it.
func ofOne(err error) error {
	e := *sheaf.AsError(err)
	bare := func(text string) string { return strings.TrimLeft(strings.TrimPrefix(text, "entries[0]"), ".: ") }
	e.Detail = bare(e.Detail)
	e.Fields = slices.Clone(e.Fields)
	for i := range e.Fields {
		e.Fields[i].Field = cmp.Or(bare(e.Fields[i].Field), "body")
	}
	return &e
}

// ofLine makes an error name the line that is wrong.
func ofLine(err error, number int) error {
	e := *sheaf.AsError(err)
	e.Detail = fmt.Sprintf("line %d: %s", number, e.Detail)
	return &e
}
