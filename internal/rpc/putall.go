package rpc

import (
	"fmt"
	"strconv"
	"time"

	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/sheafdb/sheaf"
	sheafv1 "github.com/sheafdb/sheaf/api/sheaf/v1"
	"github.com/sheafdb/sheaf/internal/coordinator"
	"github.com/sheafdb/sheaf/internal/telemetry"
	"github.com/sheafdb/sheaf/internal/wire"
)

// putAll is the walk of one batch: receive it, view its entries in place, carry
// it through the coordinator, answer.
func (s *Server) putAll(c *call) error {
	msg, err := s.receive(c)
	if err != nil {
		return err
	}
	at := time.Now()
	req := &c.request
	if *req, err = wire.DecodePutAll(msg, s.cfg.Limits); err != nil {
		return err
	}
	req.Source = c.frame.buffer
	c.stages.Since(telemetry.Decode, at)
	answer, err := s.write(c, req)
	if err != nil {
		return err
	}
	out := &c.answer
	out.Version, out.Etag = answer.Version, string(answer.ETag)
	out.Replayed, out.Accepted, out.Parts = answer.Replayed, answer.Accepted, partsOf(answer)
	return c.respond(out)
}

// deleteAll is putAll for a batch of deletes.
func (s *Server) deleteAll(c *call) error {
	msg, err := s.receive(c)
	if err != nil {
		return err
	}
	at := time.Now()
	var in sheafv1.DeleteAllRequest
	if err := wire.CheckRepeated(msg, 2, "keys", s.cfg.Limits); err != nil {
		return err
	}
	if err := proto.Unmarshal(msg, &in); err != nil {
		return sheaf.Invalid("request", "is not a DeleteAllRequest: %s", err)
	}
	req, err := deletes(&in, s.cfg.Limits)
	if err != nil {
		return err
	}
	c.stages.Since(telemetry.Decode, at)
	answer, err := s.write(c, &req)
	if err != nil {
		return err
	}
	return c.respond(&sheafv1.DeleteAllResponse{
		Version: answer.Version, Etag: string(answer.ETag),
		Replayed: answer.Replayed, Accepted: answer.Accepted, Parts: partsOf(answer),
	})
}

// partsOf is what became of the parts of a SEQUENTIAL batch.
func partsOf(answer coordinator.Answer) (parts []*sheafv1.Part) {
	for _, part := range answer.Parts {
		parts = append(parts, &sheafv1.Part{Group: part.Group, Applied: part.Applied, Version: part.Version, Reason: string(part.Reason)})
	}
	return parts
}

// deletes is the batch that a DeleteAllRequest stands for.
func deletes(in *sheafv1.DeleteAllRequest, limits sheaf.Limits) (wire.PutAll, error) {
	level, err := wire.LevelOf(uint64(in.Consistency))
	if err != nil {
		return wire.PutAll{}, err
	}
	if err := coordinator.CheckKeys(in.Keys, limits); err != nil {
		return wire.PutAll{}, err
	}
	entries, err := wire.EncodeDeletes(in.Keys, func(i int) string { return fmt.Sprintf("keys[%d]", i) }, limits)
	return wire.PutAll{
		RequestID: in.RequestId, Entries: entries, Consistency: level,
		IfMatch: in.IfMatch, IfNoneMatch: in.IfNoneMatch, After: in.After,
	}, err
}

// write settles the request ID and runs the batch.
func (s *Server) write(c *call, req *wire.PutAll) (coordinator.Answer, error) {
	if err := s.settleID(c, req); err != nil {
		return coordinator.Answer{}, err
	}
	answer, err := c.core.PutAll(c.stream.Context(), req, &c.stages)
	c.tellRoute(answer.Groups, answer.Forwarded)
	return answer, err
}

// settleID finds the request ID of a write in its message or its metadata.
func (s *Server) settleID(c *call, req *wire.PutAll) error {
	c.batch = req
	if ids := metadata.ValueFromIncomingContext(c.stream.Context(), "idempotency-key"); len(ids) > 0 {
		if len(ids) > 1 || req.RequestID != "" && req.RequestID != ids[0] {
			return sheaf.Invalid("request_id", "is given twice and differs: %s", fmt.Sprintf("%q in the message, %q in the metadata", req.RequestID, ids))
		}
		req.RequestID = ids[0]
	}
	if req.RequestID == "" && s.cfg.RequireRequestID {
		return sheaf.Errorf(sheaf.RequestIDRequired, "this node requires a request ID (require_request_id): set request_id")
	}
	return nil
}

// tellRoute tells the client where to bring such writes.
func (c *call) tellRoute(groups int, forwarded bool) {
	if groups > 1 || forwarded {
		c.route = routeText(groups, forwarded)
	}
}

// routeText is the value of sheaf-route.
func routeText(groups int, forwarded bool) string {
	if forwarded {
		return strconv.Itoa(groups) + " forwarded"
	}
	return strconv.Itoa(groups)
}

// respond sends the one answer of a call: a protobuf message, or one that is encoded.
func (c *call) respond(answer any) error {
	at := time.Now()
	err := c.stream.SendMsg(answer)
	c.stages.Since(telemetry.Respond, at)
	return err
}

// observeWrite records a write, also one that was refused before it was decoded.
func (s *Server) observeWrite(c *call, reason string) {
	sample := telemetry.PutAllSample{Face: "grpc", Reason: reason, Latency: time.Since(c.began), Stages: &c.stages}
	if c.batch != nil {
		sample.Consistency = c.batch.Consistency.String()
		sample.Entries, sample.Bytes = c.batch.Entries.Len(), len(c.batch.Entries.Raw())
	}
	s.cfg.Metrics.ObservePutAll(sample)
	if s.cfg.Tracing {
		telemetry.RecordStages(c.stream.Context(), &c.stages, time.Now())
	}
}
