package client

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/telemetry"
)

// tracerName is the instrumentation scope of the client's own spans.
const tracerName = "github.com/sheafdb/sheaf/client"

// tracedRun is attempts within a span, which explains where the call's time went:
//
//	sheaf.putall                     the call; an event for each retry
//	├ serialize
//	├ sheaf.v1.KVService/PutAll      one for each attempt, of otelgrpc; the server's own are below
//	└ network                        the last attempt again, from here
//	  ├ decode, admit, route, log …  the server's stages, as its answer told
//
// Of the stages only the durations are known, so they are laid end to end in the middle of
// network: what is left of that is the network's own time.
func (c *Client) tracedRun(ctx context.Context, call *call, send send) (answered, error) {
	begun := call.begun
	if begun.IsZero() {
		begun = time.Now()
	}
	ctx, span := c.tracer.Start(ctx, "sheaf."+call.op, trace.WithTimestamp(begun))
	defer span.End()
	call.span = span
	last, err := c.attempts(ctx, call, send)
	if !span.IsRecording() {
		return last, err
	}
	span.SetAttributes(attribute.Int("sheaf.attempts", call.attempts))
	if call.id != "" {
		span.SetAttributes(attribute.String("sheaf.request_id", string(call.id)))
		c.stageSpan(ctx, telemetry.Serialize.String(), call.begun, call.serialize)
	}
	c.networkSpan(ctx, last)
	if err != nil {
		span.RecordError(err)
		span.SetStatus(codes.Error, string(sheaf.CodeOf(err)))
	}
	return last, err
}

// networkSpan adds the last attempt, with the server's stages in it.
func (c *Client) networkSpan(ctx context.Context, last answered) {
	if last.begun.IsZero() {
		return // nothing was sent
	}
	var stages *telemetry.Stages
	if timing := last.trailer.Get(serverTimingKey); len(timing) > 0 {
		stages = telemetry.ParseServerTiming(timing[0])
	}
	var server time.Duration
	stages.Each(func(_ telemetry.Stage, d time.Duration) { server += d })
	ctx, span := c.tracer.Start(ctx, telemetry.Network.String(), trace.WithTimestamp(last.begun))
	at := last.begun.Add(max(last.roundTrip-server, 0) / 2)
	stages.Each(func(stage telemetry.Stage, d time.Duration) {
		c.stageSpan(ctx, stage.String(), at, d)
		at = at.Add(d)
	})
	span.End(trace.WithTimestamp(last.begun.Add(last.roundTrip)))
}

func (c *Client) stageSpan(ctx context.Context, name string, at time.Time, d time.Duration) {
	_, span := c.tracer.Start(ctx, name, trace.WithTimestamp(at))
	span.End(trace.WithTimestamp(at.Add(d)))
}

// retried tells the span, if there is one, that an attempt failed and how long the call waits.
func (call *call) retried(failure *sheaf.Error, wait time.Duration) {
	if call.span != nil && call.span.IsRecording() {
		call.span.AddEvent("retry", trace.WithAttributes(
			attribute.String("sheaf.reason", string(failure.Code)),
			attribute.Int64("sheaf.wait_ms", wait.Milliseconds()),
		))
	}
}
