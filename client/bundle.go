package client

import (
	"context"
	"strconv"
	"sync"
	"time"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/sheafdb/sheaf"
	sheafv1 "github.com/sheafdb/sheaf/api/sheaf/v1"
	"github.com/sheafdb/sheaf/internal/wire"
)

// sendWrites writes the entries of a bundle. Each has its own outcome.
func (c *Client) sendWrites(b *bundle, l *lane, level sheaf.Consistency, route int) {
	ctx, end := c.begin(b)
	defer end()
	if len(b.members) == 1 {
		c.writeMember(ctx, b.members[0], *b.raw, level, route)
		b.answer()
		requests.Put(b.raw)
		return
	}
	raw := *b.raw
	defer requests.Put(b.raw)
	_, err := c.underFreshID("put", func(id sheaf.RequestID) (Result, error) {
		b.id.Store(&id)
		return c.sendBundle(ctx, b, id, raw, level, route)
	})
	if err != nil {
		b.fail(sheaf.AsError(err))
	}
	if takeApart(err) {
		switch sheaf.CodeOf(err) {
		case sheaf.MethodNotAllowed:
			c.noBundles.Store(true)
		case sheaf.BatchTooLarge: // the node's limits are narrower than ours
			l.most.Store(int32(max(len(b.members)/2, 1)))
		}
		var all sync.WaitGroup
		for _, r := range b.members {
			if r != nil && !r.decided {
				all.Go(func() { c.writeMember(ctx, r, raw[r.from:r.end], level, route) })
			}
		}
		all.Wait()
	}
	b.answer()
}

// takeApart says that a bundle was refused, as a whole and before anything was done, for what one
// member may be to blame for, or because the node does not know bundles: then each goes by itself.
func takeApart(err error) bool {
	switch sheaf.CodeOf(err) {
	case sheaf.InvalidBatch, sheaf.BatchTooLarge, sheaf.MethodNotAllowed:
		return true
	}
	return false
}

// sendBundle sends a bundle under one request ID until there is an answer. It tells the members
// what is decided; its error is for the others.
func (c *Client) sendBundle(ctx context.Context, b *bundle, id sheaf.RequestID, raw []byte, level sheaf.Consistency, route int) (Result, error) {
	start := time.Now()
	request := requests.Get(len(raw) + len(id) + requestOverheadBytes)
	*request = wire.AppendPutAll((*request)[:0], &wire.PutAll{RequestID: string(id), Consistency: level, After: b.after}, raw)
	buffer := requests.asBuffer(request)
	defer buffer.Free()
	ctx = announce(ctx, len(*request))
	serialize := time.Since(start)

	call := c.newCall("put")
	call.id, call.writes, call.route, call.begun, call.serialize = id, true, route, start, serialize
	answer := message{request: buffer}
	last, err := c.run(ctx, call, func(ctx context.Context, conn *grpc.ClientConn, opts ...grpc.CallOption) (bool, error) {
		b.attempts.Add(1)
		answer.taken = false
		err := conn.Invoke(ctx, sheafv1.KVService_PutBundle_FullMethodName, &answer, &answer, append(opts, grpc.ForceCodecV2(codec{}))...)
		if err == nil {
			err = b.takeOutcomes(id, answer.answer)
		}
		return answer.taken, err
	})
	stages := last.stages(serialize)
	for _, r := range b.members {
		if r != nil {
			r.result.RequestID, r.result.Attempts = b.nameOf(id, r.place), call.attempts
			r.result.Stages = stages[:len(stages):len(stages)]
		}
	}
	return Result{Attempts: call.attempts}, err
}

// takeOutcomes tells the members what is decided. The error is a status for what is not, which is
// worth another try with all of it; the others get their answers now.
func (b *bundle) takeOutcomes(id sheaf.RequestID, answer []byte) error {
	var open error
	place, replayed := 0, false
	ok := eachField(answer, func(f field, data []byte, number uint64) bool {
		switch f {
		case field{1, protowire.BytesType}:
			if place == len(b.members) {
				return false
			}
			if r := b.members[place]; r != nil {
				refused, ok := r.takeOutcome(data)
				if !ok {
					return false
				}
				// What may be applied is told as that, whatever became of the others.
				if !r.decided && (open == nil || sheaf.CodeOf(r.err) == sheaf.OutcomeUnknown) {
					open = refused
				}
			}
			place++
		case field{2, protowire.VarintType}:
			replayed = number != 0
		}
		return true
	})
	if !ok || place != len(b.members) {
		return status.Error(codes.Internal, "the node's answer is malformed or does not have one outcome per entry")
	}
	for _, r := range b.members {
		if r != nil && r.decided {
			r.result.Replayed = replayed
			r.result.RequestID, r.result.Attempts = b.nameOf(id, r.place), int(b.attempts.Load())
		}
	}
	if open != nil {
		b.answerEarly()
	}
	return open
}

// takeOutcome reads one outcome. The member is decided unless it can be tried again, for the
// reason that is returned.
func (r *rider) takeOutcome(outcome []byte) (refused error, ok bool) {
	var told []byte
	var result Result
	if !eachField(outcome, func(f field, data []byte, number uint64) bool {
		switch f {
		case field{1, protowire.VarintType}:
			result.Version = number
		case field{2, protowire.BytesType}:
			result.ETag = sheaf.ETag(data)
		case field{3, protowire.BytesType}:
			told = data
		}
		return true
	}) {
		return nil, false
	}
	if told == nil {
		r.result, r.err, r.decided = result, nil, true
		return nil, result.Version != 0
	}
	var st spb.Status
	if err := proto.Unmarshal(told, &st); err != nil {
		return nil, false
	}
	e := fromDetails(status.FromProto(&st))
	if e == nil {
		return nil, false
	}
	e.Op = r.op
	r.err, r.decided = e, !sendAgain(e.Code)
	return status.FromProto(&st).Err(), true
}

// writeMember writes one member by itself, as a batch of one entry that is encoded in raw.
func (c *Client) writeMember(ctx context.Context, r *rider, raw []byte, level sheaf.Consistency, route int) {
	r.result, r.err = c.underFreshID(r.op, func(id sheaf.RequestID) (Result, error) {
		if len(r.bundle.members) == 1 {
			r.bundle.id.Store(&id)
		}
		begun := time.Now()
		request := requests.Get(len(raw) + len(id) + requestOverheadBytes)
		*request = wire.AppendPutAll((*request)[:0], &wire.PutAll{RequestID: string(id), Consistency: level, After: r.bundle.after}, raw)
		return c.sendPutAll(ctx, r.op, id, request, begun, route, false)
	})
	r.decided = true
}

// sendReads reads the keys of a bundle with one GetAll.
func (c *Client) sendReads(b *bundle, l *lane, level sheaf.Consistency, route int) {
	ctx, end := c.begin(b)
	defer end()
	defer b.answer()
	keys := *b.raw
	defer requests.Put(b.raw)
	o := readOptions{level: level, after: b.after}
	request := requests.Get(len(keys) + requestOverheadBytes)
	*request = appendReadOptions(append((*request)[:0], keys...), &o)
	size := len(*request)
	buffer := requests.asBuffer(request)
	defer buffer.Free()
	if len(c.nodes.all) < 2 {
		route = 0
	}
	answer, err := c.sendGetAll(ctx, "get", buffer, size, route, &o)
	var values Values
	if err == nil {
		values, err = c.decodeAnswer("get", answer, len(b.members))
	}
	switch {
	case err == nil:
		for i, r := range b.members {
			r.item = values.Items[i]
		}
		l.fit(len(answer), len(b.members))
	case takeApart(err) && len(b.members) > 1:
		l.fit(maxGatheredBytes, 1)
		var all sync.WaitGroup
		for _, r := range b.members {
			all.Go(func() {
				key, _ := protowire.ConsumeBytes(keys[r.from+1 : r.end])
				r.item, r.err = c.readAlone(ctx, r.op, key, &o)
			})
		}
		all.Wait()
	default:
		b.fail(sheaf.AsError(err))
	}
}

// maxGatheredBytes is how large the answer to a bundle of reads should be, at most.
const maxGatheredBytes = 4 << 20

// fit lets the next bundles have as many members as the last says will fit an answer.
func (l *lane) fit(answerBytes, members int) {
	l.most.Store(int32(min(max(maxGatheredBytes*members/max(answerBytes, 1), 1), maxBundleEntries)))
}

// appendKey appends a key of a GetAllRequest.
func appendKey(dst, key []byte) []byte {
	return protowire.AppendBytes(append(dst, 1<<3|byte(protowire.BytesType)), key)
}

// appendReadOptions appends the other fields of a GetAllRequest.
func appendReadOptions(dst []byte, o *readOptions) []byte {
	dst = append(dst, 2<<3|byte(protowire.VarintType))
	dst = protowire.AppendVarint(dst, uint64(o.protoLevel()))
	if o.after != 0 {
		dst = append(dst, 3<<3|byte(protowire.VarintType))
		dst = protowire.AppendVarint(dst, o.after)
	}
	return dst
}

// announce tells the node the size of a request before it comes.
func announce(ctx context.Context, size int) context.Context {
	return metadata.AppendToOutgoingContext(ctx, batchBytesKey, strconv.Itoa(size))
}
