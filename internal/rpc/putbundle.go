package rpc

import (
	"time"

	"google.golang.org/grpc/mem"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/coordinator"
	"github.com/sheafdb/sheaf/internal/telemetry"
	"github.com/sheafdb/sheaf/internal/wire"
)

// putBundle is the walk of a bundle: that of putAll, but for an answer with one outcome per
// entry.
func (s *Server) putBundle(c *call) error {
	msg, err := s.receive(c)
	if err != nil {
		return err
	}
	at := time.Now()
	req := &c.request
	if *req, err = wire.DecodePutBundle(msg, s.cfg.Limits); err != nil {
		return err
	}
	req.Source = c.frame.buffer
	c.stages.Since(telemetry.Decode, at)
	if err := s.settleID(c, req); err != nil {
		return err
	}
	answer, err := c.core.PutBundle(c.stream.Context(), req, &c.stages)
	if err != nil {
		return err
	}
	c.tellRoute(answer.Groups, answer.Forwarded)
	return c.respond(&encoded{mem.SliceBuffer(encodeOutcomes(&answer))})
}

// encodeOutcomes makes a PutBundleResponse without a message per outcome.
func encodeOutcomes(answer *coordinator.BundleAnswer) []byte {
	out := make([]byte, 0, len(answer.Outcomes)*wire.MaxOutcomeBytes)
	var refused *sheaf.Error // the last, and its status: one that a group gives is for many entries
	var told []byte
	for i := range answer.Outcomes {
		outcome := &answer.Outcomes[i]
		if outcome.Refused == nil {
			out = wire.AppendOutcome(out, outcome.Version, outcome.ETag, nil)
			continue
		}
		if outcome.Refused != refused {
			refused, told = outcome.Refused, statusBytes(outcome.Refused)
		}
		out = wire.AppendOutcome(out, 0, wire.ETagSum{}, told)
	}
	if answer.Replayed {
		out = wire.AppendBundleReplayed(out)
	}
	return out
}
