package coordinator

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/failpoint"
	"github.com/sheafdb/sheaf/internal/group"
	"github.com/sheafdb/sheaf/internal/wire"
)

// driver is the Carrier of one request in a node: its calls go to the node's groups.
type driver struct {
	c *Coordinator
	// caller ends when nobody waits for the answer any more. The calls of a write are not cut
	// short by it: what became of them must be known.
	caller context.Context
	// callTime is how long one call may take before it counts as silent.
	callTime time.Duration
	// reads: only a read depends on the calls, so they end in time for its caller.
	reads bool
	// maxBytes bounds the values of a read.
	maxBytes int
	// reserved are the bytes counted at the gate for the values of the last Collects.
	reserved int64
}

// callTime is that of a small call.
const callTime = 3 * time.Second

// Call is part of Carrier.
func (d *driver) Call(calls []Call) []Answered {
	if failpoint.Enabled {
		hit("before", calls)
		defer hit("after", calls)
	}
	answers := make([]Answered, len(calls))
	reserved := make([]int64, len(calls))
	most := d.callTime
	if d.reads {
		most = group.InTime(d.caller, most)
	}
	ctx, cancel := context.WithTimeout(d.c.life, most)
	defer cancel()
	var others sync.WaitGroup
	for i := range calls[1:] {
		others.Go(func() { answers[i+1], reserved[i+1] = d.call(ctx, &calls[i+1]) })
	}
	answers[0], reserved[0] = d.call(ctx, &calls[0])
	others.Wait()
	if calls[0].Collect != nil { // the values of the collect before are not looked at any more
		d.release()
		for _, bytes := range reserved {
			d.reserved += bytes
		}
	}
	return answers
}

// Later is part of Carrier.
func (d *driver) Later(call Call) { d.c.later[call.Group-1].put(call.Command) }

// steps are the places where tests end a coordinator: before and after each of these, and amid
// it, when one group has answered.
var steps = map[wire.Kind]string{
	wire.Prepare: "prepare", wire.Decide: "decide", wire.Reject: "reject", wire.Resolve: "resolve", wire.Done: "done",
}

func hit(when string, calls []Call) {
	if cmd := calls[0].Command; cmd != nil && steps[cmd.Kind] != "" {
		failpoint.Hit("coordinator." + when + "-" + steps[cmd.Kind])
	}
}

// release gives back what is counted for values.
func (d *driver) release() {
	d.c.cfg.Gate.Release(d.reserved)
	d.reserved = 0
}

func (d *driver) call(ctx context.Context, call *Call) (answer Answered, reserved int64) {
	var err error
	to := d.c.group(call.Group)
	switch {
	case call.Command != nil:
		// The group stamps it; an attempt that was given up may still be on its way.
		attempt := *call.Command
		answer.Result, _, err = to.Propose(ctx, &attempt)
		if failpoint.Enabled {
			hit("amid", []Call{*call})
		}
	case call.Status != nil:
		answer, err = d.status(ctx, to, call.Status)
	case call.Collect != nil:
		answer.Seen, reserved, err = to.Collect(ctx, group.CollectRequest{
			Keys: call.Collect.Keys, Values: call.Collect.Values, MaxBytes: d.maxBytes,
		})
		if sheaf.CodeOf(err) == sheaf.NotLeader { // it has waited for one
			return Answered{Refused: sheaf.AsError(err)}, 0
		}
	}
	if err != nil {
		answer = failed(err)
	}
	return answer, reserved
}

// failed is the answer of a call that came to nothing. What a node refuses for reasons of its
// own is worth telling at once; the rest is worth another try.
func failed(err error) Answered {
	for _, code := range []sheaf.Code{
		sheaf.RateLimited, sheaf.NoSpace, sheaf.Draining, sheaf.BatchTooLarge, sheaf.Corruption, sheaf.Internal,
	} {
		if sheaf.CodeOf(err) == code { // and not what it wraps: of an attempt before
			return Answered{Refused: sheaf.AsError(err)}
		}
	}
	return Answered{Silent: true}
}

// status asks home. When the clock here is past the deadline and home's is not, a Tick moves that
// one first; when it is still not, the clock here is ahead, and who asks has to wait.
func (d *driver) status(ctx context.Context, home Group, call *StatusCall) (Answered, error) {
	holder := wire.Holder{RequestID: call.RequestID, Attempt: call.Attempt, DeadlineMS: call.DeadlineMS, RetentionMS: call.RetentionMS}
	result, late, err := home.Verdict(ctx, holder)
	if err == nil && late {
		if _, _, err = home.Propose(ctx, &wire.Command{Kind: wire.Tick}); err == nil {
			result, _, err = home.Verdict(ctx, holder)
		}
	}
	return Answered{Result: result}, err
}

// Wait is part of Carrier.
func (d *driver) Wait(turn int) {
	const least, most = time.Millisecond, 200 * time.Millisecond
	longest := min(10*time.Millisecond<<min(turn, 8), most)
	select {
	case <-time.After(least + rand.N(longest)): //nolint:gosec // to keep callers apart
	case <-d.caller.Done():
	case <-d.c.life.Done():
	}
}

// Now is part of Carrier.
func (d *driver) Now() time.Time { return time.Now() }

// Random is part of Carrier.
func (d *driver) Random() uint64 { return rand.Uint64() } //nolint:gosec // it only has to differ

// Over is part of Carrier.
func (d *driver) Over() bool { return d.caller.Err() != nil || d.c.life.Err() != nil }
