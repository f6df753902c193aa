package client

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc"

	"github.com/sheafdb/sheaf"
	sheafv1 "github.com/sheafdb/sheaf/api/sheaf/v1"
	"github.com/sheafdb/sheaf/internal/telemetry"
)

// Metadata beside a write.
const (
	// batchBytesKey tells the encoded size before the body, so that a server
	// can reserve the memory before it reads.
	batchBytesKey = "sheaf-batch-bytes"
	// serverTimingKey is the trailer with the time spent in the server's stages.
	serverTimingKey = "server-timing"
)

// Result is what is known of a write. A failed write has one too: RequestID and
// Attempts are then set, if it was sent.
type Result struct {
	// Version is that of every key that the batch put; 0 when only Accepted.
	Version uint64
	// ETag is that of exactly the keys that the batch named; "" when only Accepted.
	ETag sheaf.ETag
	// Replayed: an earlier attempt had applied the batch, and this repeats its answer.
	Replayed bool
	// Accepted: the batch, written at EVENTUAL, is queued and not yet durable.
	Accepted bool
	// Parts are what became of a batch at SEQUENTIAL in each of its groups, if its keys are
	// in several. Version is then the largest, and ETag "" unless all were applied.
	Parts []Part
	// RequestID is the batch's name, given or made. Of a single write that went together with
	// others it is the bundle's name, a slash and the place in it, as in "v7-<UUID>/3", which
	// [WithRequestID] does not take. It is "" when the write was never sent.
	RequestID sheaf.RequestID
	// Attempts is how often the batch was sent.
	Attempts int
	// Stages tell where the time of the last attempt went, in the order of the
	// batch's walk. Those who went together share the slice.
	Stages []Stage
}

// Part is a batch's share in one group.
type Part struct {
	// Group is the group's number.
	Group   uint64
	Applied bool
	// Version is that of the part's keys, if it was applied.
	Version uint64
	// Reason is why it was not applied, or is not known to be. The same request ID may be
	// sent again: parts that were applied are not applied twice.
	Reason sheaf.Code
}

// Stage is one part of a batch's life.
type Stage struct {
	// Name is one of serialize, network, decode, admit, route, log, replicate,
	// apply and respond.
	Name string
	// Duration is what the batch spent in it. For network it is the round trip
	// without the server's stages.
	Duration time.Duration
}

// PutAll writes a batch: every entry or none, and once however often it is
// retried. The entries are encoded before the first attempt; their slices are
// not kept, and must not change until PutAll returns.
//
// Only what cannot be encoded is refused here. All limits are the server's, and
// so are the errors that name them.
func (c *Client) PutAll(ctx context.Context, entries []sheaf.Entry, opts ...WriteOption) (Result, error) {
	return c.write(ctx, "putall", entries, opts)
}

func (c *Client) write(ctx context.Context, op string, entries []sheaf.Entry, opts []WriteOption) (Result, error) {
	o, invalid := gatherWrite(opts)
	if invalid != nil {
		invalid.Op = op
		return Result{RequestID: o.id}, invalid
	}
	return c.writeWith(ctx, op, entries, &o)
}

func (c *Client) writeWith(ctx context.Context, op string, entries []sheaf.Entry, o *writeOptions) (Result, error) {
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	if o.idSet {
		return c.writeAs(ctx, op, o.id, entries, o)
	}
	return c.underFreshID(op, func(id sheaf.RequestID) (Result, error) { return c.writeAs(ctx, op, id, entries, o) })
}

// underFreshID writes under a request ID that it makes.
func (c *Client) underFreshID(op string, write func(sheaf.RequestID) (Result, error)) (Result, error) {
	correction := c.clock.correction()
	id, err := newRequestID(correction)
	if err != nil {
		return Result{}, &sheaf.Error{Code: sheaf.NotProposed, Op: op, Detail: "make a request ID", Err: err}
	}
	result, err := write(id)
	if result.Attempts != 1 || !wronglyDated(err) || (c.clock.correction()-correction).Abs() <= minClockCorrection {
		return result, err
	}
	// The node refused the only attempt because of the age of an ID that it had
	// never seen, and its answer told its time: nothing was applied, and an ID
	// with the right time is as good as the first. A second refusal is final.
	if id, err = newRequestID(c.clock.correction()); err != nil {
		return result, &sheaf.Error{Code: sheaf.NotProposed, Op: op, Detail: "make a request ID", Err: err}
	}
	result, err = write(id)
	result.Attempts++
	return result, err
}

// writeAs writes the batch under one request ID, with retries.
func (c *Client) writeAs(ctx context.Context, op string, id sheaf.RequestID, entries []sheaf.Entry, o *writeOptions) (Result, error) {
	start := time.Now()
	request, tooLarge := encode(id, entries, o)
	if tooLarge != nil {
		tooLarge.Op = op
		return Result{RequestID: id}, tooLarge
	}
	route := c.nodes.routeOf(func(yield func([]byte) bool) {
		for i := range entries {
			if !yield(entries[i].Key) {
				return
			}
		}
	})
	return c.sendPutAll(ctx, op, id, request, start, route, o.noRetry)
}

// sendPutAll sends a batch, whose encoding began at begun and whose slice is from requests, with retries.
func (c *Client) sendPutAll(ctx context.Context, op string, id sheaf.RequestID, request *[]byte, begun time.Time, route int, noRetry bool) (Result, error) {
	serialize := time.Since(begun)
	ctx = announce(ctx, len(*request))
	buffer := requests.asBuffer(request)
	defer buffer.Free()

	call := c.newCall(op)
	call.id, call.writes, call.route, call.begun, call.serialize = id, true, route, begun, serialize
	if noRetry {
		call.policy.MaxAttempts = 1
	}
	var response sheafv1.PutAllResponse
	last, err := c.run(ctx, call, func(ctx context.Context, conn *grpc.ClientConn, opts ...grpc.CallOption) (bool, error) {
		msg := &message{request: buffer}
		err := conn.Invoke(ctx, sheafv1.KVService_PutAll_FullMethodName, msg, &response,
			append(opts, grpc.ForceCodecV2(codec{}))...)
		return msg.taken, err
	})
	result := Result{RequestID: id, Attempts: call.attempts, Stages: last.stages(serialize)}
	if err != nil {
		return result, err
	}
	result.Version = response.GetVersion()
	result.ETag = sheaf.ETag(response.GetEtag())
	result.Replayed = response.GetReplayed()
	result.Accepted = response.GetAccepted()
	for _, p := range response.GetParts() {
		result.Parts = append(result.Parts, Part{Group: p.GetGroup(), Applied: p.GetApplied(), Version: p.GetVersion(), Reason: sheaf.Code(p.GetReason())})
	}
	return result, nil
}

// wronglyDated reports whether a node refused a request ID for its issue time.
func wronglyDated(err error) bool {
	var e *sheaf.Error
	if !errors.As(err, &e) {
		return false
	}
	if e.Code == sheaf.RequestIDExpired {
		return true
	}
	return e.Code == sheaf.InvalidBatch && len(e.Fields) == 1 && e.Fields[0].Field == "request_id"
}

// stages joins what was measured here with what the server told.
func (a answered) stages(serialize time.Duration) []Stage {
	stages := make([]Stage, 2, 9)
	var server time.Duration
	if timing := a.trailer.Get(serverTimingKey); len(timing) > 0 {
		telemetry.ParseServerTiming(timing[0]).Each(func(stage telemetry.Stage, d time.Duration) {
			if stage != telemetry.Serialize && stage != telemetry.Network {
				stages = append(stages, Stage{stage.String(), d})
				server += d
			}
		})
	}
	stages[0] = Stage{telemetry.Serialize.String(), serialize}
	stages[1] = Stage{telemetry.Network.String(), max(a.roundTrip-server, 0)}
	return stages
}
