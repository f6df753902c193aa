package rpc

import (
	"context"
	"io"
	"time"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/telemetry"
	"github.com/sheafdb/sheaf/internal/wire"
)

// receive takes batches in until the client has sent its last, or the stream ends.
func (p *putStream) receive() {
	defer close(p.queue)
	for {
		b := &streamed{}
		err := p.stream.RecvMsg(&b.frame)
		if err == io.EOF {
			return
		}
		if err == nil {
			b.began = time.Now()
			p.lastMove.Store(b.began.UnixNano())
			err = p.take(b)
		} else {
			err = receiveError(err, p.server.cfg.Limits.BatchBytes)
		}
		if err != nil {
			p.over <- err
			return
		}
	}
}

// take begins a batch, or notes why it is refused. An error ends the stream.
func (p *putStream) take(b *streamed) error {
	b.size = int64(len(b.frame.buffer.Bytes()))
	before := p.unanswered.Load()
	if before > 0 && before+b.size > p.window {
		b.frame.buffer.Release()
		return sheaf.Errorf(sheaf.RateLimited, "%d bytes were sent and not answered, where the window is %d: wait for answers before sending more", before+b.size, p.window)
	}
	if !p.enter() { // it was not begun, and its client is told so by the stream's end
		b.frame.buffer.Release()
		return nil
	}
	p.unanswered.Add(b.size)
	if b.refused = p.begin(b); b.refused != nil {
		b.frame.buffer.Release() // what is refused needs no memory while it waits for its answer
		b.frame.buffer = nil
	}
	p.queue <- b // who answers takes all, also when the stream is over
	return nil
}

// begin decodes a batch and has it written.
func (p *putStream) begin(b *streamed) (err error) {
	limits, req := p.server.cfg.Limits, &b.flight.Request
	*req, err = wire.DecodePutAll(b.frame.buffer.Bytes(), limits)
	if b.size > int64(limits.BatchBytes)+requestOverheadBytes {
		return tooLarge(b.size, limits)
	}
	if err != nil {
		return err
	}
	req.Source = b.frame.buffer
	b.flight.Stages.Since(telemetry.Decode, b.began)
	if req.RequestID == "" {
		return sheaf.Errorf(sheaf.RequestIDRequired, "every batch of a stream needs a request ID: set request_id, and repeat it when the batch is sent again")
	}
	if b.size > p.window {
		if b.extra, err = p.reserveExtra(b.size - p.window); err != nil {
			p.batches.Refuse(&b.flight, err)
			return err
		}
	}
	p.advise(req.Entries.Len(), len(req.Entries.Raw()))
	return p.batches.Begin(p.ctx, &b.flight)
}

// reserveExtra counts what a batch has beyond the window. Its bytes are here by then: gRPC tells
// nobody how long a message is before it has read it.
func (p *putStream) reserveExtra(bytes int64) (int64, error) {
	ctx, cancel := context.WithTimeout(p.ctx, receiveWait)
	defer cancel()
	if err := p.server.cfg.Gate.ReserveWait(ctx, bytes); err != nil {
		return 0, err
	}
	return bytes, nil
}

const (
	// adviceBytes is the size of batch that is advised: large enough that what a batch costs by
	// itself is little beside its bytes, small enough that several are in the window.
	adviceBytes = 4 << 20
	// adviceMost bounds it for tiny entries, and firstAdvice is given before any was seen.
	adviceMost  = 10_000
	firstAdvice = 1_000
)

// advise notes how many entries the next batch should have: as many as make adviceBytes, if they
// are like the last batch's. How busy the node is has no part in it.
func (p *putStream) advise(entries, bytes int) {
	each := max(bytes/max(entries, 1), 1)
	most := min(adviceMost, p.server.cfg.Limits.BatchEntries)
	p.advised.Store(uint32(min(max(min(adviceBytes, int(p.window))/each, 1), most)))
}
