package rpc

import (
	"context"
	"time"

	"github.com/sheafdb/sheaf"
	sheafv1 "github.com/sheafdb/sheaf/api/sheaf/v1"
	"github.com/sheafdb/sheaf/internal/coordinator"
	"github.com/sheafdb/sheaf/internal/telemetry"
)

// answer sends the window, and then one answer for each batch, in the order in which they came.
// When the stream is over it goes on, without sending, until there are none left.
func (p *putStream) answer() {
	out := &sheafv1.PutStreamResponse{}
	err := p.send(out)
	for b := range p.queue {
		answer, refused := coordinator.Answer{}, b.refused
		if refused == nil {
			answer, refused = b.flight.Wait()
		}
		b.frame.buffer.Release()
		p.server.cfg.Gate.Release(b.extra)
		p.unanswered.Add(-b.size) // before the answer: the client may send as much at once
		if err == nil {
			at := time.Now()
			*out = sheafv1.PutStreamResponse{RequestId: b.flight.Request.RequestID}
			if refused == nil {
				out.Version, out.Etag = answer.Version, string(answer.ETag)
				out.Replayed, out.Accepted, out.Parts = answer.Replayed, answer.Accepted, partsOf(answer)
			} else {
				out.Status = statusBytes(refused)
			}
			err = p.send(out)
			b.flight.Stages.Since(telemetry.Respond, at)
		}
		p.observe(b, refused)
		if p.leave() {
			err = errDraining
			p.over <- err
		}
	}
	p.over <- err
}

// send sends one answer with the window and the advice. An error means that the client is gone.
func (p *putStream) send(out *sheafv1.PutStreamResponse) error {
	out.WindowBytes, out.AdvisedEntries = uint64(p.window), p.advised.Load()
	now := time.Now().UnixNano()
	p.sending.Store(now)
	err := p.stream.SendMsg(out)
	p.sending.Store(0)
	p.lastMove.Store(now)
	return err
}

// observe records a batch as PutAll does.
func (p *putStream) observe(b *streamed, refused error) {
	sample := telemetry.PutAllSample{Face: "grpc", Latency: time.Since(b.began), Stages: &b.flight.Stages}
	if refused != nil {
		e := sheaf.AsError(refused)
		sample.Reason = string(e.Code)
		if e.Code == sheaf.Internal {
			p.server.cfg.Logger.Error("request failed", "method", "putstream", "err", refused)
		}
	}
	if entries := b.flight.Request.Entries; entries.Len() > 0 {
		sample.Consistency = b.flight.Request.Consistency.String()
		sample.Entries, sample.Bytes = entries.Len(), len(entries.Raw())
	}
	p.server.cfg.Metrics.ObservePutAll(sample)
	if p.server.cfg.Tracing {
		telemetry.RecordStages(p.stream.Context(), &b.flight.Stages, time.Now())
	}
}

// streamTimes bound how long a peer may hold a stream's memory without making use of it.
type streamTimes struct {
	// idle is for one that sends nothing when everything is answered, and a second more for
	// every receiveRateBytes of the window: a batch may be on its way.
	idle time.Duration
	// unread is for one that takes no answers.
	unread time.Duration
	// look is how often the two are looked at.
	look time.Duration
}

var defaultStreamTimes = streamTimes{idle: time.Minute, unread: 30 * time.Second, look: time.Second}

var (
	errIdle = &sheaf.Error{
		Code: sheaf.NotProposed, Err: context.DeadlineExceeded,
		Detail: "nothing came for too long: open another stream when there is something to write",
	}
	errUnread = &sheaf.Error{
		Code: sheaf.OutcomeUnknown, Err: context.DeadlineExceeded,
		Detail: "the answers were not read for too long",
	}
)

// watch returns when the stream is over: its last batch is answered, something failed, the node
// drains, or the peer is too slow.
func (p *putStream) watch() error {
	times := p.server.streams
	ticker := time.NewTicker(times.look)
	defer ticker.Stop()
	draining := p.server.draining
	idle := times.idle + time.Duration(p.window/receiveRateBytes)*time.Second
	for {
		select {
		case err := <-p.over:
			return err
		case <-p.stream.Context().Done():
			return &sheaf.Error{Code: sheaf.OutcomeUnknown, Err: p.stream.Context().Err(), Detail: "the caller went away"}
		case <-draining:
			if p.drain() {
				return errDraining
			}
			draining = nil
		case now := <-ticker.C:
			if since := p.sending.Load(); since != 0 && now.Sub(time.Unix(0, since)) > times.unread {
				return errUnread
			}
			if p.unanswered.Load() == 0 && now.Sub(time.Unix(0, p.lastMove.Load())) > idle {
				return errIdle
			}
		}
	}
}
