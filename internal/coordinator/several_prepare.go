package coordinator

import (
	"github.com/sheafdb/sheaf/internal/apply"
	"github.com/sheafdb/sheaf/internal/wire"
)

// maxPartly is how often a refusal is put off to hear all groups.
const maxPartly = 3

// prepare prepares parts until each has answered, and returns nil unless all are ready. With
// hold it keeps what it has while another holds a key, which is safe for who takes the
// groups in their order.
func (s *Several) prepare(parts []Part, hold bool) ([]apply.Result, verdict, Answer, error) {
	s.asked = append(s.asked, parts...)
	results, missing := make([]apply.Result, len(parts)), make([]int, len(parts))
	for i := range missing {
		missing[i] = i
	}
	for turn := 0; len(missing) > 0; turn++ {
		if turn > 0 {
			s.do.Wait(turn)
		}
		if s.do.Over() || s.late() {
			s.release()
			return nil, again, Answer{}, nil
		}
		calls := make([]Call, len(missing))
		for n, i := range missing {
			calls[n] = Call{Group: parts[i].Group, Command: s.command(wire.Prepare, &parts[i])}
		}
		still := missing[:0:0]
		var holders []apply.Result
		refused, paused := false, false
		for n, reply := range s.do.Call(calls) {
			i := missing[n]
			if reply.Silent {
				still = append(still, i)
				continue
			}
			if reply.Refused != nil { // of all attempts before, none came to Decide
				s.release()
				return nil, final, Answer{}, reply.Refused
			}
			switch results[i] = reply.Result; reply.Result.Outcome {
			case apply.Ready:
			case apply.Conflict:
				holders, s.contended = append(holders, reply.Result), true
				paused = paused || reply.Result.Holder.Paused
				still = append(still, i)
			case apply.Late:
				s.aheadMS = max(s.aheadMS, reply.Result.NowMS)
				s.release()
				return nil, again, Answer{}, nil
			case apply.Mismatch:
				refused = true
			default: // a row of the request ID has answered, or the part was refused
				s.release()
				answer, err := s.answered(reply.Result)
				return nil, final, answer, err
			}
		}
		if len(holders) > 0 && !hold || refused || paused {
			s.release() // a pause waits for who holds keys, so who waits for it must not
		}
		for _, held := range holders {
			s.help(held.Holder, parts)
		}
		switch whole := len(still) == 0 && len(parts) == len(s.Parts); {
		case refused && !whole && s.partly < maxPartly:
			// What the others say of their keys belongs to the answer.
			s.partly++
			return nil, together, Answer{}, nil
		case refused:
			next, answer, err := s.reject(s.mismatch(results, whole))
			return nil, next, answer, err
		case paused:
			return nil, again, Answer{}, nil
		case len(holders) > 0 && !hold:
			return nil, inOrder, Answer{}, nil
		}
		missing = still
	}
	return results, again, Answer{}, nil
}
