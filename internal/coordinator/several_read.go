package coordinator

import (
	"slices"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/apply"
	"github.com/sheafdb/sheaf/internal/wire"
)

// Value is what a key had in the instant of a read.
type Value struct {
	Version        uint64
	Live           bool
	Value, TypeURL []byte
}

// Snapshot reads keys of several groups as of one instant.
//
// One linearizable read of a group is an instant of that group, but not of all. So
// everything is read twice: when no key has moved between two collects in a row, there was
// an instant between them at which all of it was true. A key that an attempt holds is
// judged by its home, after the collect: committed, the intent is the value already;
// undecided, the value before; aborted, the intent is removed and the collect starts over.
// What home said is never taken over into the next collect.
//
// Writers that never rest could keep a reader waiting: after two misses it reserves its
// keys, which only makes the third try likely to succeed. The double collect stays the
// proof.
//
// A session that has come to a version wants more: nothing up to that version may become true
// of the keys later. An undecided attempt may still be committed at its lower bound, so the
// read waits for those whose bound is not above After. None can join them: After is what the
// groups' clocks have reached.
type Snapshot struct {
	Keys    [][]byte
	GroupOf func(key []byte) uint64
	// After is the version of a SEQUENTIAL read, else 0.
	After uint64

	do Carrier
	// groups are the keys' groups, by first appearance, and where has the places of each
	// one's keys in Keys.
	groups []uint64
	where  map[uint64][]int
	// refusal ends the read; silent: the last collect was not answered.
	refusal *sheaf.Error
	silent  bool
}

const (
	// missesBeforeReserve is how often a reader loses against writers before it reserves.
	missesBeforeReserve = 2
	reserveFor          = attemptTime
)

// Run reads. Its error is a *sheaf.Error.
func (s *Snapshot) Run(do Carrier) ([]Value, error) {
	s.do, s.where = do, make(map[uint64][]int)
	for i, key := range s.Keys {
		group := s.GroupOf(key)
		if s.where[group] == nil {
			s.groups = append(s.groups, group)
		}
		s.where[group] = append(s.where[group], i)
	}
	reservation := ""
	defer func() {
		if reservation != "" {
			s.reserve(wire.Unreserve, reservation)
		}
	}()
	var last []Value
	misses := 0
	for turn := 0; !do.Over(); turn++ {
		// The first of two looks only at the versions, for its values are not what is answered.
		values, settled, ok := s.collect(len(s.groups) == 1 || last != nil)
		switch {
		case s.refusal != nil:
			return nil, s.refusal
		case !ok: // void: an intent is gone or must be waited for, or a group was silent
			last = nil
			do.Wait(turn)
			continue
		case len(s.groups) == 1 && settled:
			return values, nil
		case last != nil && same(last, values):
			return values, nil
		case last != nil:
			misses++
		}
		last = values
		if misses >= missesBeforeReserve && reservation == "" {
			reservation = string(wire.AppendAttempt(nil, "read", do.Random()))
			s.reserve(wire.Reserve, reservation)
		}
	}
	if s.silent {
		return nil, &sheaf.Error{Code: sheaf.NotLeader, RetryAfter: contentionRetry, Detail: "a group of the keys did not answer: most of its replicas may be out of reach"}
	}
	return nil, &sheaf.Error{Code: sheaf.Contention, RetryAfter: contentionRetry, Detail: "the keys were written faster than all of them could be read in one instant: read fewer at a time, or try again"}
}

// collect reads all keys once. settled: none of them was an intent's.
func (s *Snapshot) collect(withValues bool) (values []Value, settled, ok bool) {
	calls := make([]Call, len(s.groups))
	for n, group := range s.groups {
		keys := make([][]byte, len(s.where[group]))
		for i, at := range s.where[group] {
			keys[i] = s.Keys[at]
		}
		calls[n] = Call{Group: group, Collect: &CollectCall{Keys: keys, Values: withValues}}
	}
	values, settled, ok = make([]Value, len(s.Keys)), true, true
	held := make([]*apply.Intent, len(s.Keys))
	for n, reply := range s.do.Call(calls) {
		if s.refusal, s.silent = reply.Refused, reply.Silent; !reply.answer() {
			return nil, false, false
		}
		for i, at := range s.where[s.groups[n]] {
			seen := &reply.Seen[i]
			values[at] = Value{Version: seen.Version, Live: seen.Live, Value: seen.Value, TypeURL: seen.TypeURL}
			if seen.Intent != nil {
				held[at] = seen.Intent
			}
		}
	}
	verdicts := s.judge(held)
	for at, intent := range held {
		if intent == nil {
			continue
		}
		switch verdict := verdicts[nameOf(intent)]; verdict.Outcome {
		case apply.Undecided:
			if intent.LowerBound <= s.After {
				return nil, false, false
			}
		case apply.Committed:
			settled = false
			values[at] = Value{Version: verdict.Version, Live: intent.Live, Value: intent.Value, TypeURL: intent.TypeURL}
		default: // aborted, or home did not answer
			return nil, false, false
		}
	}
	return values, settled, true
}

// attemptName names an attempt.
type attemptName struct {
	requestID string
	attempt   uint64
}

func nameOf(intent *apply.Intent) attemptName {
	return attemptName{intent.Holder.RequestID, intent.Holder.Attempt}
}

// judge asks once about each attempt that holds keys in a collect, by their places among Keys,
// and has it resolved in their groups.
func (s *Snapshot) judge(held []*apply.Intent) map[attemptName]apply.Result {
	var met []Met
	var names []attemptName
	index := make(map[attemptName]int)
	for at, intent := range held {
		if intent == nil {
			continue
		}
		name := nameOf(intent)
		n, again := index[name]
		if !again {
			n = len(met)
			index[name] = n
			met, names = append(met, Met{Holder: intent.Holder}), append(names, name)
		}
		if group := s.GroupOf(s.Keys[at]); !slices.Contains(met[n].Groups, group) {
			met[n].Groups = append(met[n].Groups, group)
		}
	}
	verdicts := make(map[attemptName]apply.Result, len(met))
	for n, result := range HelpAll(s.do, s.GroupOf, met) {
		verdicts[names[n]] = result
	}
	return verdicts
}

// same compares what two collects saw: the keys' versions, and whether they are there.
func same(a, b []Value) bool {
	for i := range a {
		if a[i].Version != b[i].Version || a[i].Live != b[i].Live {
			return false
		}
	}
	return true
}

// reserve asks all groups to keep new writers off the keys, or to stop that.
func (s *Snapshot) reserve(kind wire.Kind, id string) {
	until := uint64(s.do.Now().Add(reserveFor).UnixMilli())
	calls := make([]Call, len(s.groups))
	listed := make(map[string]bool, len(s.Keys))
	for n, group := range s.groups {
		cmd := &wire.Command{Kind: kind, RequestID: id, DeadlineMS: until}
		for _, at := range s.where[group] {
			if key := s.Keys[at]; !listed[string(key)] {
				listed[string(key)] = true
				cmd.Keys = append(cmd.Keys, key)
			}
		}
		calls[n] = Call{Group: group, Command: cmd}
	}
	s.do.Call(calls)
}
