package web

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"time"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/document"
	"github.com/sheafdb/sheaf/internal/telemetry"
	"github.com/sheafdb/sheaf/internal/wire"
)

// read reads the body and begins its batches. The error, if the body could not be read to its end,
// is the answer to the batch that was being read, and the last one's.
func (im *lines) read() error {
	for {
		line, err := im.in.next()
		if err == io.EOF {
			if im.next.count > 0 {
				im.begin(im.cut())
			}
			return nil
		}
		if err == nil && len(line) > 0 {
			if err = im.add(line); err != nil {
				err = ofLine(err, im.in.number)
			}
		}
		if err == nil && im.unread.Load() {
			return nil // the answer is cut short, which says it
		}
		if err == nil && im.a.cfg.Gate.Draining() {
			err = im.a.cfg.Gate.Read()
		}
		if err != nil {
			im.in.discard()
			im.queue <- &imported{number: im.number, began: time.Now(), refused: err}
			return err
		}
	}
}

// add takes one line into the next batch, which it may complete.
func (im *lines) add(line []byte) error {
	d, err := document.New(line)
	if err != nil {
		return err
	}
	if im.one, err = im.entry.next(d, im.one[:0]); err != nil {
		return err
	}
	// What the batch would be refused for is said here, while its line is known. Its parser is that
	// of entries without a look at their keys: it allocates nothing.
	if _, err = wire.ParseBundle(im.one, im.a.cfg.Limits); err != nil {
		return ofOne(err)
	}
	g := &im.next
	if g.count > 0 && (int64(len(g.raw)+len(im.one)) > im.cutBytes() || g.has(im.entry.last.Key)) {
		im.begin(im.cut())
	}
	if g.count == 0 {
		g.has(im.entry.last.Key)
	}
	g.raw = append(g.raw, im.one...)
	if g.count++; g.count == im.batch {
		im.begin(im.cut())
	}
	return nil
}

// has adds a key, unless it is there.
func (g *gathered) has(key []byte) bool {
	begin := len(g.names)
	g.names = append(g.names, key...)
	_, dup := g.keys.Add(g.names[begin:])
	return dup
}

// cut makes a batch of what was gathered.
func (im *lines) cut() *imported {
	g := &im.next
	b := &imported{number: im.number, entries: g.count, size: int64(len(g.raw)), began: time.Now()}
	im.number++
	b.flight.Request = wire.PutAll{RequestID: im.requestID(b.number), Consistency: im.level}
	b.flight.Request.Entries, b.refused = wire.ParseEntries(g.raw, im.a.cfg.Limits)
	b.flight.Stages.Since(telemetry.Decode, b.began)
	g.keys.Release()
	*g = gathered{raw: make([]byte, 0, len(g.raw)+len(g.raw)/8), keys: wire.NewKeySet(im.batch)}
	return b
}

// begin has a batch written, once there is room for it.
func (im *lines) begin(b *imported) {
	if b.refused == nil {
		if b.refused = im.flying.enter(im.x, b.size); b.refused != nil {
			im.stream.Refuse(&b.flight, b.refused)
		}
	}
	if b.refused != nil {
		b.size = 0
	} else if b.refused = im.stream.Begin(im.x.ctx, &b.flight); b.refused != nil {
		im.flying.leave(im.x, b.size)
		b.size = 0
	}
	im.queue <- b // who answers takes all
}

// lineReader cuts a body into lines.
type lineReader struct {
	x      *exchange
	limit  int64
	buffer []byte
	at     int // what is before is consumed
	number int // of the last line, from 1
	end    error
}

// next returns a line without what is white around it. It may be changed, and lives until the
// next call. io.EOF is the end of the body.
func (r *lineReader) next() ([]byte, error) {
	for searched := 0; ; {
		if n := bytes.IndexByte(r.buffer[r.at+searched:], '\n'); n >= 0 {
			line := r.buffer[r.at : r.at+searched+n]
			r.at += searched + n + 1
			r.number++
			return bytes.TrimSpace(line), nil
		}
		searched = len(r.buffer) - r.at
		if r.end != nil {
			return r.rest()
		}
		if err := r.fill(); err != nil {
			return nil, ofLine(err, r.number+1)
		}
	}
}

// rest is what stands behind the last line end.
func (r *lineReader) rest() ([]byte, error) {
	line := bytes.TrimSpace(r.buffer[r.at:])
	r.at = len(r.buffer)
	switch {
	case errors.Is(r.end, os.ErrDeadlineExceeded) && r.x.gate.Draining():
		return nil, r.x.gate.Read()
	case r.end != io.EOF:
		return nil, bodyError(r.x.ctx, r.end)
	case len(line) == 0:
		return nil, io.EOF
	}
	r.number++
	return line, nil
}

// lineCost is how many copies of a long line there may be: as it is, decoded from base64, encoded,
// and in its batch.
const lineCost = 4

// fill reads more, into a buffer of twice the size if the line fills all of it.
func (r *lineReader) fill() error {
	if r.at > 0 {
		r.buffer = r.buffer[:copy(r.buffer, r.buffer[r.at:])]
		r.at = 0
	}
	if len(r.buffer) == cap(r.buffer) {
		room := min(2*int64(cap(r.buffer)), r.limit)
		if room == int64(cap(r.buffer)) {
			return sheaf.Errorf(sheaf.BatchTooLarge, "it has more than the %d bytes that are allowed for a line", r.limit)
		}
		if err := r.x.reserve(lineCost * (room - int64(cap(r.buffer)))); err != nil {
			return err
		}
		r.buffer = append(make([]byte, 0, room), r.buffer...)
	}
	// There is no bound on the whole body: how fast it is read is for the batches to say.
	_ = r.x.control.SetReadDeadline(time.Now().Add(progressTimeout))
	// A client that sends nothing would hold up the drain.
	stop := r.x.onDrain(func() { _ = r.x.control.SetReadDeadline(time.Now()) })
	n, err := r.x.r.Body.Read(r.buffer[len(r.buffer):cap(r.buffer)])
	stop()
	r.buffer = r.buffer[:len(r.buffer)+n]
	r.end = err
	return nil
}

// What is read of a body that nobody wants, because some clients read no answer before they have
// sent all.
const (
	discardBytes = 1 << 20
	discardTime  = time.Second
)

func (r *lineReader) discard() {
	_ = r.x.control.SetReadDeadline(time.Now().Add(discardTime))
	for n := 0; n < discardBytes && r.end == nil; {
		var some int
		some, r.end = r.x.r.Body.Read(r.buffer[:cap(r.buffer)])
		n += some
	}
}

// byteGate bounds the bytes of the batches that are at work. One goroutine enters, and one
// leaves.
type byteGate struct {
	window int64
	now    chan int64 // holds how many there are
	left   chan struct{}
}

func newByteGate(window int64) byteGate {
	g := byteGate{window: window, now: make(chan int64, 1), left: make(chan struct{}, 1)}
	g.now <- 0
	return g
}

// enter waits for room. What is larger than all of it enters alone, and is counted at the
// node's Gate beyond the window.
func (g *byteGate) enter(x *exchange, bytes int64) error {
	for {
		now := <-g.now
		if now == 0 || now+bytes <= g.window {
			g.now <- now + bytes
			break
		}
		g.now <- now
		<-g.left
	}
	if more := bytes - g.window; more > 0 {
		ctx, cancel := context.WithTimeout(x.ctx, memoryWait)
		defer cancel()
		if err := x.gate.ReserveWait(ctx, more); err != nil {
			g.now <- <-g.now - bytes
			return err
		}
	}
	return nil
}

// memoryWait is how long a batch that is larger than the window waits for memory.
const memoryWait = time.Second

func (g *byteGate) leave(x *exchange, bytes int64) {
	if more := bytes - g.window; more > 0 {
		x.gate.Release(more)
	}
	g.now <- <-g.now - bytes
	select {
	case g.left <- struct{}{}:
	default:
	}
}
