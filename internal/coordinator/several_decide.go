package coordinator

import (
	"slices"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/apply"
	"github.com/sheafdb/sheaf/internal/wire"
)

// decide asks home to commit, until it has answered.
func (s *Several) decide() (verdict, Answer, error) {
	reply, ok := s.untilAnswered(Call{Group: s.home(), Command: s.command(wire.Decide, nil)})
	if !ok {
		s.asked = nil // home may commit: nothing may be undone
		return final, Answer{}, unknownOutcome("the home group did not answer whether it committed the batch")
	}
	switch result := reply.Result; {
	case result.Refused != nil:
		s.release()
		return final, Answer{}, result.Refused
	case result.Outcome == apply.Committed && result.Attempt == s.attempt:
		return final, s.success(result.Version, false), nil
	case result.Outcome == apply.Committed:
		s.release()
		return final, s.success(result.Version, true), nil
	case result.Outcome == apply.Gone:
		s.asked = nil
		return final, Answer{}, unknownOutcome("the request ID is too old to know whether it was committed")
	}
	s.release()
	return again, Answer{}, nil
}

// reject asks home to remember that the conditions fail, and answers what home says: that
// the batch was committed, if this is the retry of a success.
func (s *Several) reject(refusal *sheaf.Error) (verdict, Answer, error) {
	reply, ok := s.untilAnswered(Call{Group: s.home(), Command: s.command(wire.Reject, nil)})
	switch {
	case !ok:
		return final, Answer{}, unknownOutcome("the home group did not answer whether the batch was refused")
	case reply.Result.Outcome == apply.Committed:
		return final, s.success(reply.Result.Version, true), nil
	case sheaf.CodeOf(reply.Result.Refused) == sheaf.ETagMismatch:
		return final, Answer{}, refusal // it says which keys
	}
	return final, Answer{}, reply.Result.Refused
}

func unknownOutcome(detail string) error {
	return &sheaf.Error{Code: sheaf.OutcomeUnknown, Detail: detail}
}

// untilAnswered sends a call again until it is answered, or nobody waits any more. It is sent
// once even then: what is prepared would otherwise keep others off until its deadline.
func (s *Several) untilAnswered(call Call) (Answered, bool) {
	for turn := 0; turn == 0 || !s.do.Over(); turn++ {
		if reply := s.do.Call([]Call{call})[0]; reply.answer() {
			return reply, true
		}
		s.do.Wait(turn)
	}
	return Answered{}, false
}

// release undoes the attempt, as far as it is heard: what stays is undone by whoever meets
// it after the deadline. It must not be called once Decide was sent and not answered.
func (s *Several) release() {
	s.resolveAll(false)
	s.asked = nil
}

// resolveAll tells the groups that may hold intents what became of the attempt, a few times
// if they do not answer. It returns whether all have. What it does not reach is found by the
// groups' leaders (see Tidy).
func (s *Several) resolveAll(commit bool) bool {
	for turn := 0; len(s.asked) > 0 && turn < resolveTurns; turn++ {
		if turn > 0 {
			s.do.Wait(turn)
		}
		var calls []Call
		for _, part := range s.asked {
			cmd := s.command(wire.Resolve, nil)
			cmd.Commit = commit
			calls = append(calls, Call{Group: part.Group, Command: cmd})
		}
		still := s.asked[:0:0]
		for i, reply := range s.do.Call(calls) {
			if !reply.answer() {
				still = append(still, s.asked[i])
			}
		}
		s.asked = still
	}
	return len(s.asked) == 0
}

const resolveTurns = 3

// Finish does what the caller need not wait for: a committed attempt's intents become values
// in all groups, and home, where they are already, hears of it. It does not look at the
// batch's entries.
func (s *Several) Finish() {
	s.asked = slices.DeleteFunc(s.asked, func(p Part) bool { return p.Group == s.home() })
	if s.version != 0 && len(s.asked) > 0 && s.resolveAll(true) {
		s.do.Later(Call{Group: s.home(), Command: s.command(wire.Done, nil)})
	}
}
