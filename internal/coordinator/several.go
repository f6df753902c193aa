package coordinator

import (
	"bytes"
	"slices"
	"time"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/apply"
	"github.com/sheafdb/sheaf/internal/wire"
)

// attemptTime is how long an attempt may take from its first Prepare to its Decide, and so
// how long a coordinator that dies keeps others off its keys; a large batch takes longer.
const attemptTime = 5 * time.Second

// sizeTime is what the size of a batch adds to all times, on a slow and busy machine.
func sizeTime(entries wire.Entries) time.Duration {
	const perEntry, perMiB = 50 * time.Microsecond, 250 * time.Millisecond
	return time.Duration(entries.Len())*perEntry + time.Duration(len(entries.Raw()))*perMiB/(1<<20)
}

// Several is one batch over several groups on its way: a two-phase commit whose decision is
// one entry in the log of its home, the group of its first key.
//
//	Prepare to all groups ─► all ready ─► Decide at home: committed, the caller is answered
//	                                      ─► Resolve to the others ─► Done at home
//
// An attempt is a try with a number of its own; what goes wrong before Decide is undone by
// Resolve, and tried again under another number. After a Decide without an answer nothing
// is undone: whoever meets an intent asks home.
//
// "Not written" is said of a batch only when a row of its request ID says so; of one call,
// when its attempts never reached Decide.
type Several struct {
	// Command is the batch as a Fast command of all its entries, with a request ID.
	Command *wire.Command
	// Parts are the groups' shares, by ascending group.
	Parts []Part
	// GroupOf says where a key lives.
	GroupOf func(key []byte) uint64

	do      Carrier
	homeKey []byte
	attempt uint64
	// deadlineMS of the attempt.
	deadlineMS uint64
	// asked are the groups that may hold intents of the attempt.
	asked     []Part
	condition uint64
	version   uint64
	// aheadMS is the latest time that a group has answered: its clock may be ahead of
	// ours, and then our deadline was past before it was set.
	aheadMS uint64
	// contended: the last attempt met keys that another holds.
	contended bool
	// partly counts the attempts in which a condition failed and not all groups had answered.
	partly int
}

// maxPartly is how often a refusal is put off to hear all groups.
const maxPartly = 3

// verdict is what an attempt came to.
type verdict int

const (
	again    verdict = iota // another attempt
	together                // another attempt, all groups at once
	inOrder                 // another attempt, one group after the other
	final                   // the outcome is set
)

// Run carries the batch until there is an answer for its caller. Its error is a
// *sheaf.Error. Finish must be called afterwards, whatever came of it.
func (s *Several) Run(do Carrier) (Answer, error) {
	s.do = do
	s.homeKey = bytes.Clone(firstKey(s.Command.Entries))
	s.condition = wire.ConditionHash(s.Command.Entries, s.Command.IfMatch, s.Command.IfNoneMatch)
	if len(s.Parts) == 1 {
		return s.fast()
	}
	ordered := false
	for turn := 0; ; turn++ {
		if do.Over() {
			return Answer{}, s.nothing()
		}
		s.begin()
		next, answer, err := s.try(ordered)
		switch next {
		case final:
			return answer, err
		case inOrder:
			ordered = true
		case together:
			ordered = false
		case again:
		}
		do.Wait(turn)
	}
}

// contentionRetry is the wait advised to a caller whose keys are held by others.
const contentionRetry = 100 * time.Millisecond

// nothing is the answer when no attempt has come to Decide in time.
func (s *Several) nothing() error {
	if s.contended {
		return &sheaf.Error{
			Code: sheaf.Contention, RetryAfter: contentionRetry,
			Detail: "nothing was written by this call: other batches or readers held its keys, or a backup began, until its time was over",
		}
	}
	return &sheaf.Error{Code: sheaf.NotProposed, Detail: "nothing was written by this call: a group did not answer in time"}
}

// fast is the batch as one command, for one group has all its keys.
func (s *Several) fast() (Answer, error) {
	silent := false
	for turn := 0; ; turn++ {
		if s.do.Over() {
			if silent {
				return Answer{}, unknownOutcome("the group did not answer in time")
			}
			return Answer{}, s.nothing()
		}
		reply := s.do.Call([]Call{{Group: s.Parts[0].Group, Command: s.Command}})[0]
		switch {
		case reply.Silent:
			if silent = true; s.Command.RequestID == "" { // it must not be sent again
				return Answer{}, unknownOutcome("the group did not answer in time")
			}
		case reply.Refused != nil && silent:
			return Answer{}, unknownOutcome("an attempt was not answered, and the next not taken: " + reply.Refused.Error())
		case reply.Refused != nil:
			return Answer{}, reply.Refused
		case reply.Result.Outcome == apply.Conflict:
			s.contended = true
			s.help(reply.Result.Holder, s.Parts)
		case reply.Result.Refused != nil:
			return Answer{}, reply.Result.Refused
		default:
			return s.success(reply.Result.Version, reply.Result.Replayed), nil
		}
		s.do.Wait(turn)
	}
}

// firstKey returns the first of a batch's keys in sorted order.
func firstKey(entries wire.Entries) (first []byte) {
	for _, entry := range entries.All() {
		if first == nil || bytes.Compare(entry.Key, first) < 0 {
			first = entry.Key
		}
	}
	return first
}

// begin begins an attempt.
func (s *Several) begin() {
	s.attempt = s.do.Random() | 1 // 0 is no attempt
	s.deadlineMS = max(uint64(s.do.Now().UnixMilli()), s.aheadMS) + uint64((attemptTime + sizeTime(s.Command.Entries)).Milliseconds())
	if s.Command.DeadlineMS != 0 {
		s.deadlineMS = min(s.deadlineMS, s.Command.DeadlineMS)
	}
	s.asked, s.version, s.contended = nil, 0, false
}

// try is one attempt.
func (s *Several) try(ordered bool) (verdict, Answer, error) {
	var ready []apply.Result
	if ordered {
		for _, part := range s.Parts {
			results, next, answer, err := s.prepare([]Part{part}, true)
			if results == nil {
				return next, answer, err
			}
			ready = append(ready, results...)
		}
	} else {
		results, next, answer, err := s.prepare(s.Parts, false)
		if results == nil {
			return next, answer, err
		}
		ready = results
	}
	var sum wire.ETagSum
	s.version = s.Command.After
	for _, result := range ready {
		sum.Add(result.ETag)
		s.version = max(s.version, result.Clock)
	}
	s.version++
	if !s.holds(sum) {
		s.release()
		return s.reject(otherETag(sum))
	}
	return s.decide()
}

// holds compares the ETag of all keys with the conditions that need all of them.
func (s *Several) holds(sum wire.ETagSum) bool {
	match, none := s.Command.IfMatch, s.Command.IfNoneMatch
	if match.Set && !match.Star && !match.Has(sum) {
		return false
	}
	return !none.Has(sum)
}

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

// answered is what a stored row, or a refusal of the batch as such, means to the caller.
func (s *Several) answered(result apply.Result) (Answer, error) {
	if result.Refused != nil {
		return Answer{}, result.Refused
	}
	return s.success(result.Version, true), nil
}

func (s *Several) success(version uint64, replayed bool) Answer {
	var sum wire.ETagSum
	for _, entry := range s.Command.Entries.All() {
		if !entry.Delete {
			sum.AddKey(entry.Key, version)
		}
	}
	return Answer{Version: version, ETag: sum.ETag(), Replayed: replayed}
}

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

// help finds out what became of an attempt that holds a key, and makes it so where the key
// is. A reservation just has to be waited for.
func (s *Several) help(holder wire.Holder, parts []Part) {
	if holder.Attempt == 0 {
		return
	}
	groups := make([]uint64, 0, len(parts))
	for _, part := range parts {
		groups = append(groups, part.Group)
	}
	Help(s.do, s.GroupOf, holder, groups)
}

// Finish does what the caller need not wait for: a committed attempt's intents become values
// in all groups, and home, where they are already, hears of it. It does not look at the
// batch's entries.
func (s *Several) Finish() {
	s.asked = slices.DeleteFunc(s.asked, func(p Part) bool { return p.Group == s.home() })
	if s.version != 0 && len(s.asked) > 0 && s.resolveAll(true) {
		s.do.Later(Call{Group: s.home(), Command: s.command(wire.Done, nil)})
	}
}

func (s *Several) home() uint64 { return s.GroupOf(s.homeKey) }

func (s *Several) late() bool { return uint64(s.do.Now().UnixMilli()) > s.deadlineMS }

// command makes a command of the attempt; part is that of a Prepare.
func (s *Several) command(kind wire.Kind, part *Part) *wire.Command {
	c := &wire.Command{
		Kind: kind, RequestID: s.Command.RequestID, Fingerprint: s.Command.Fingerprint, Attempt: s.attempt,
		DeadlineMS: s.deadlineMS, HomeKey: s.homeKey, Condition: s.condition, Version: s.version,
	}
	switch kind {
	case wire.Prepare:
		c.After, c.Level = s.Command.After, s.Command.Level
		c.IfMatch, c.IfNoneMatch, c.Entries = s.Command.IfMatch, s.Command.IfNoneMatch, part.Entries
	case wire.Decide:
		for _, part := range s.Parts {
			c.Keys = append(c.Keys, part.Key)
		}
	}
	return c
}
