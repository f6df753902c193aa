package client

import (
	"context"
	"errors"
	"fmt"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/sheafdb/sheaf"
	sheafv1 "github.com/sheafdb/sheaf/api/sheaf/v1"
)

// answered gives the first batch its result. An error breaks the stream: the batch is to be sent
// again, before those behind it.
func (s *PutStream) answered(answer *sheafv1.PutStreamResponse, call *call) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.grant(answer)
	if s.sent == 0 || string(s.queue[0].id) != answer.GetRequestId() {
		return unexpected(answer)
	}
	p := s.queue[0]
	if len(answer.GetStatus()) == 0 {
		p.result = resultOf(answer)
		s.finishFirst(nil)
		return nil
	}
	var st spb.Status
	if err := proto.Unmarshal(answer.GetStatus(), &st); err != nil {
		return fmt.Errorf("the status of batch %s: %w", p.id, err)
	}
	refusal := status.ErrorProto(&st)
	own := *call
	own.id, own.attempts = p.id, p.attempts
	failure := own.understand(refusal, true)
	step := p.state.after(failure.Code)
	p.state = step.to
	if sendAgain(failure.Code) && !p.noRetry {
		s.refused = p
		return refusal
	}
	s.finishFirst(own.end(step, failure))
	return nil
}

func resultOf(answer *sheafv1.PutStreamResponse) Result {
	result := Result{
		Version: answer.GetVersion(), ETag: sheaf.ETag(answer.GetEtag()),
		Replayed: answer.GetReplayed(), Accepted: answer.GetAccepted(),
	}
	for _, p := range answer.GetParts() {
		result.Parts = append(result.Parts, Part{Group: p.GetGroup(), Applied: p.GetApplied(), Version: p.GetVersion(), Reason: sheaf.Code(p.GetReason())})
	}
	return result
}

// finishFirst ends the first batch, which was answered.
func (s *PutStream) finishFirst(err error) {
	p := s.queue[0]
	s.queue[0] = nil
	s.queue = s.queue[1:]
	if s.sent > 0 {
		s.sent--
		s.flying -= p.size
	}
	s.progress = true
	s.finish(p, err)
	s.resetPatience(len(s.queue) > 0)
}

// finish ends a batch that is not in the queue any more.
func (s *PutStream) finish(p *Pending, err error) {
	s.bytes -= p.size
	if s.room != nil {
		close(s.room)
		s.room = nil
	}
	p.result.RequestID, p.result.Attempts = p.id, p.attempts
	p.err = err
	if s.first == nil {
		s.first = err
	}
	p.buffer.Free()
	p.buffer = nil
	close(p.done)
}

// broken takes back what was sent and not answered. It says whether there was any, and
// whether anything is left to send. call is then made ready for the next attempt.
func (s *PutStream) broken(call *call) (lost, left bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.progress {
		s.progress, call.attempts = false, 0
	}
	all, sent := s.queue, s.sent
	s.queue, s.sent, s.flying = nil, 0, 0
	for i, p := range all {
		if i < sent && p != s.refused {
			p.state = p.state.after(sheaf.OutcomeUnknown).to
			if p.noRetry {
				s.finish(p, p.unanswered(&sheaf.Error{Code: sheaf.OutcomeUnknown, Op: streamOp, Detail: "the stream broke"}))
				continue
			}
		}
		s.queue = append(s.queue, p)
	}
	s.refused = nil
	if len(s.queue) < len(all) {
		s.resetPatience(len(s.queue) > 0)
	}
	call.id, call.state = "", certain
	if len(s.queue) > 0 {
		call.id, call.state = s.queue[0].id, s.queue[0].state
	}
	return sent > 0, len(s.queue) > 0
}

// refuse ends the first batch, which the node does not take.
func (s *PutStream) refuse(call *call, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.queue[0]
	own := *call
	own.id, own.attempts = p.id, p.attempts
	failure := own.understand(err, true)
	s.finishFirst(own.end(p.state.after(failure.Code), failure))
}

// fail ends the stream, and every batch that has no result: the error says of each what is true
// of it.
func (s *PutStream) fail(end *sheaf.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if cause := context.Cause(s.life); cause != nil && !errors.Is(end, cause) {
		end = &sheaf.Error{Code: end.Code, Op: streamOp, Detail: "the stream's time was over", Err: fmt.Errorf("%w (%w)", cause, end)}
	}
	s.failed = end
	all := s.queue
	s.queue = nil
	for _, p := range all {
		s.finish(p, p.unanswered(end))
	}
}

// unanswered is the error of a batch whose stream ended.
func (p *Pending) unanswered(end *sheaf.Error) error {
	e := &sheaf.Error{Code: end.Code, Op: streamOp, Err: end, RetryAfter: end.RetryAfter, Detail: "the stream ended before the batch was sent"}
	switch {
	case p.state == unsure:
		e.Code = sheaf.OutcomeUnknown
		e.Detail = fmt.Sprintf("the stream ended before the batch was answered: it may be applied or not (request ID %s)", p.id)
	case end.Code == sheaf.OutcomeUnknown:
		e.Code = sheaf.NotProposed
	}
	return e
}
