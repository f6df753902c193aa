package coordinator

import (
	"bytes"
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
		case s.Command.Kind == wire.Bundle:
			return Answer{Version: reply.Result.Version, Replayed: reply.Result.Replayed, Without: reply.Result.Without}, nil
		default:
			return s.success(reply.Result.Version, reply.Result.Replayed), nil
		}
		s.do.Wait(turn)
	}
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
