package web

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/admission"
	"github.com/sheafdb/sheaf/internal/telemetry"
)

// exchange is one request and its answer. One goroutine uses it.
type exchange struct {
	w       http.ResponseWriter
	r       *http.Request
	control *http.ResponseController
	gate    *admission.Gate
	// ctx ends when the client is gone or its own deadline has passed.
	ctx context.Context

	endpoint endpoint
	key      []byte // of the path, if that names one

	// reserved is what the Gate counts for this exchange; given back at its end.
	reserved int64
	stages   telemetry.Stages
	batch    telemetry.PutAllSample // filled in by writes
	start    time.Time
	// answered: the status is sent, so an error can no longer be.
	answered bool
}

// status sends the header.
func (x *exchange) status(code int) {
	x.answered = true
	x.extendWrite()
	x.w.WriteHeader(code)
}

// write sends a part of the body. An error means that the client is gone.
func (x *exchange) write(part []byte) error {
	x.extendWrite()
	_, err := x.w.Write(part)
	return err
}

// push sends a part of an answer that goes on at once. A client that does not read it would hold
// up the drain for progressTimeout.
func (x *exchange) push(part []byte) error {
	x.extendWrite()
	defer x.onDrain(func() { _ = x.control.SetWriteDeadline(time.Now().Add(drainWrite)) })()
	if _, err := x.w.Write(part); err != nil {
		return err
	}
	return x.control.Flush()
}

const (
	// drainWrite is what a client has left to take a part of an answer when the node drains.
	drainWrite = time.Second
	// drainLook is how often what waits for a client looks whether the node drains: the Gate can
	// only be asked.
	drainLook = 100 * time.Millisecond
)

// onDrain calls cut once if the node drains before stop is called. Set the deadline that cut moves
// before. After stop, cut neither runs nor will: a handler that has ended has no deadlines to set.
func (x *exchange) onDrain(cut func()) (stop func()) {
	var mu sync.Mutex
	stopped := false
	var timer *time.Timer
	mu.Lock()
	defer mu.Unlock()
	timer = time.AfterFunc(drainLook, func() {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case stopped:
		case x.gate.Draining():
			cut()
		default:
			timer.Reset(drainLook)
		}
	})
	return func() {
		mu.Lock()
		defer mu.Unlock()
		stopped = true
		timer.Stop()
	}
}

// The deadlines below are set where there are any: a recorder of a test has none.
// On a closed connection they fail, as the next read or write will.

// extendWrite gives the client progressTimeout from now to take what is written.
// The next request of the connection clears it (see arm).
func (x *exchange) extendWrite() {
	_ = x.control.SetWriteDeadline(time.Now().Add(progressTimeout))
}

// rest ends the deadline of extendWrite, for an answer that goes on at some time: HTTP/2 would end
// the stream.
func (x *exchange) rest() { _ = x.control.SetWriteDeadline(time.Time{}) }

// arm sets the connection's deadlines as a request begins. A body must make
// progress even if no handler wants it: net/http reads what is left.
func (x *exchange) arm() {
	_ = x.control.SetWriteDeadline(time.Time{})
	if x.r.ContentLength != 0 {
		x.extendRead()
	}
}

// bodyRateBytes is how many bytes a second a body must bring on the whole, beyond
// progressTimeout: its memory is held until it is there.
const bodyRateBytes = 1 << 20

// extendRead gives the client progressTimeout from now for more of the body, or
// less if its own deadline or that of the whole body is nearer.
func (x *exchange) extendRead() {
	until := time.Now().Add(progressTimeout)
	whole := x.start.Add(progressTimeout + time.Duration(max(x.r.ContentLength, 0)/bodyRateBytes)*time.Second)
	if x.r.ContentLength > 0 && whole.Before(until) {
		until = whole
	}
	if own, ok := x.ctx.Deadline(); ok && own.Before(until) {
		until = own
	}
	_ = x.control.SetReadDeadline(until)
}

// bodyRead ends the deadline of extendRead. net/http goes on reading to notice
// that a client leaves, and would take a timeout for that.
func (x *exchange) bodyRead() { _ = x.control.SetReadDeadline(time.Time{}) }

// reserve counts n bytes at the Gate until the exchange ends.
func (x *exchange) reserve(n int64) error {
	begin := time.Now()
	if err := x.gate.Reserve(n); err != nil {
		return err
	}
	x.reserved += n
	x.stages.Since(telemetry.Admit, begin)
	return nil
}

// release gives back n of the bytes that are reserved.
func (x *exchange) release(n int64) {
	x.reserved -= n
	x.gate.Release(n)
}

// keep gives back all but n bytes.
func (x *exchange) keep(n int) { x.release(max(x.reserved-int64(n), 0)) }

// timeoutHeader gives the time that a client is willing to wait.
const timeoutHeader = "Sheaf-Timeout-Ms"

// maxTimeoutMS bounds it, far above any use.
const maxTimeoutMS = 24 * 60 * 60 * 1000

// ownDeadline puts the client's timeout into the exchange's context.
func (x *exchange) ownDeadline() (cancel context.CancelFunc, err error) {
	text := x.r.Header.Get(timeoutHeader)
	if text == "" {
		return func() {}, nil
	}
	ms, err := strconv.ParseUint(text, 10, 64)
	if err != nil || ms == 0 || ms > maxTimeoutMS {
		return func() {}, sheaf.Invalid(timeoutHeader, "is not a number of milliseconds from 1 to %d", maxTimeoutMS)
	}
	x.ctx, cancel = context.WithTimeout(x.ctx, time.Duration(ms)*time.Millisecond)
	return cancel, nil
}
