package sim

import (
	"slices"
	"time"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/coordinator"
	"github.com/sheafdb/sheaf/internal/wire"
)

// act is a batch that writes the keys in one attempt under an ID, or a read of the keys. Keys
// are numbers of those of the first set, of which even ones are in the first group.
type act struct {
	id      string // "" of a read
	keys    []int
	onlyNew bool
	calls   int // after so many its caller gives up; the default is mostCalls
	after   int // begins when the act before has ended, if 1
}

// actor is a coordinator.
type actor struct {
	s      *small
	number int
	act    *act
	op     *operation
	resume func() bool // false when it has ended
	stop   func()
	yield  func(struct{}) bool
	phase  phase

	// Of the calls that it waits for.
	replies []coordinator.Answered
	missing int
	call    int // number of the last
	saw     int // changes when it made it
	random  uint64
	told    uint64 // hash of all that it was told
}

type phase byte

func operationOf(a *act) *operation {
	op := &operation{level: sheaf.Linearizable, id: a.id, onlyNew: a.onlyNew, kind: readKeys}
	if a.id == "" {
		for _, i := range a.keys {
			op.asked[i] = true
		}
		return op
	}
	op.kind = batch
	var raw []byte
	for _, i := range a.keys {
		op.writes[i] = put
		raw = wire.AppendEntry(raw, &wire.Entry{Key: keysOf(0)[i], Value: []byte(a.id)})
	}
	entries := wire.Canonical(raw)
	op.command = &wire.Command{
		Kind: wire.Fast, RequestID: a.id, Entries: entries, Fingerprint: wire.FingerprintOf(entries, sheaf.Linearizable),
		IfNoneMatch: wire.Match{Set: a.onlyNew, Star: a.onlyNew},
	}
	return op
}

// run is the coordinator's work.
func (a *actor) run() {
	op := a.op
	if op.kind == readKeys {
		var keys [][]byte
		for _, i := range a.act.keys {
			keys = append(keys, keysOf(0)[i])
		}
		values, err := (&coordinator.Snapshot{Keys: keys, GroupOf: smallGroupOf}).Run(a)
		if err != nil {
			return
		}
		op.outcome, op.ended = read, time.Duration(a.s.moves)
		for n, v := range values {
			if v.Live {
				op.values[a.act.keys[n]] = value{string(v.Value), v.Version}
			}
		}
		return
	}
	several := &coordinator.Several{Command: op.command, Parts: coordinator.Split(op.command.Entries, smallGroupOf), GroupOf: smallGroupOf}
	answer, err := several.Run(a)
	switch {
	case err == nil:
		op.outcome, op.version = committed, answer.Version
	case sheaf.CodeOf(err) == sheaf.ETagMismatch:
		op.outcome = refused
	case !slices.Contains(tryAgain, sheaf.CodeOf(err)):
		a.s.fail("%s: %v", op, err)
	}
	op.ended = time.Duration(a.s.moves)
	several.Finish()
}

// Later is part of coordinator.Carrier. It is the last that an actor does.
func (a *actor) Later(call coordinator.Call) { a.Call([]coordinator.Call{call}) }

// Call is part of coordinator.Carrier.
func (a *actor) Call(calls []coordinator.Call) []coordinator.Answered {
	a.call++
	a.replies, a.missing, a.saw = make([]coordinator.Answered, len(calls)), len(calls), a.s.changes()
	for n := range calls {
		a.s.flying = append(a.s.flying, &message{from: a, call: a.call, n: n, body: calls[n]})
	}
	a.phase = calling
	a.pause()
	return a.replies
}

// Wait is part of coordinator.Carrier.
func (a *actor) Wait(int) {
	a.phase = waiting
	a.pause()
}

func (a *actor) pause() {
	if !a.yield(struct{}{}) {
		panic(errDead)
	}
}

// Now is part of coordinator.Carrier.
func (a *actor) Now() time.Time { return time.UnixMilli(int64(a.s.nowMS)) }

// Random is part of coordinator.Carrier.
func (a *actor) Random() uint64 {
	a.random += 2
	return uint64(a.number+1)<<8 + a.random
}

// Over is part of coordinator.Carrier.
func (a *actor) Over() bool {
	if a.act.calls > 0 {
		return a.call >= a.act.calls
	}
	return a.call >= mostCalls
}
