package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/sheafdb/sheaf"
)

// RetryPolicy bounds how often and how fast a call is sent again. The caller's
// deadline bounds it too.
type RetryPolicy struct {
	// MaxAttempts is how often a call is sent, at most; 1 is no retry.
	MaxAttempts int
	// BaseDelay is the wait before the second attempt. It doubles with each,
	// and half of it is random.
	BaseDelay time.Duration
	// MaxDelay is the longest wait, unless the server asks for a longer one.
	MaxDelay time.Duration
	// AttemptTimeout bounds each attempt of a call, but not of a Scan; 0 is no bound but the
	// call's. An endpoint that is silent for so long is given up for the next one. It must be
	// longer than the largest batch takes.
	AttemptTimeout time.Duration
	// Budget bounds the retries of all calls of the Client together.
	Budget RetryBudget
}

// DefaultRetryPolicy waits 20 ms to 1 s, 50 times at most: the attempts outlast
// [DefaultTimeout], so that the deadline decides. Its budget is [DefaultRetryBudget].
func DefaultRetryPolicy() RetryPolicy {
	return RetryPolicy{
		MaxAttempts: 50, BaseDelay: 20 * time.Millisecond, MaxDelay: time.Second, Budget: DefaultRetryBudget(),
	}
}

func (p RetryPolicy) withDefaults() RetryPolicy {
	defaults := DefaultRetryPolicy()
	if p.MaxAttempts == 0 {
		p.MaxAttempts = defaults.MaxAttempts
	}
	if p.BaseDelay == 0 {
		p.BaseDelay = defaults.BaseDelay
	}
	if p.MaxDelay == 0 {
		p.MaxDelay = max(defaults.MaxDelay, p.BaseDelay)
	}
	p.Budget = p.Budget.withDefaults()
	return p
}

func (p RetryPolicy) validate() error {
	if p.MaxAttempts < 0 || p.BaseDelay < 0 || p.MaxDelay < p.BaseDelay {
		return fmt.Errorf("the retry policy %+v makes no sense: attempts and delays are not negative, and MaxDelay is not below BaseDelay", p)
	}
	if p.AttemptTimeout < 0 || p.Budget.Ratio < 0 || p.Budget.PerSecond < 0 || p.Budget.Burst < 0 {
		return fmt.Errorf("the retry policy %+v makes no sense: its timeout and its budget are not negative", p)
	}
	return nil
}

// delay is the wait after that many failed attempts; random is in [0, 1). What
// the server asks for is added and not only a minimum, so that callers who were
// told the same time do not come back at the same time.
func (p RetryPolicy) delay(failures int, serverAsks time.Duration, random float64) time.Duration {
	d := p.BaseDelay
	for i := 1; i < failures && d < p.MaxDelay; i++ {
		d *= 2
	}
	d = min(d, p.MaxDelay)
	return serverAsks + d/2 + time.Duration(random*float64(d/2))
}

// call is one call through all its attempts.
type call struct {
	op     string
	policy RetryPolicy
	// id is the request ID of a write and "" for a read, which changes nothing
	// and whose outcome is therefore never in doubt.
	id       sheaf.RequestID
	state    state
	attempts int
	// turnedAway is how many attempts in a row were told to wait longer than the call may.
	turnedAway int
	// told is the last failure that says more than that ctx cut an attempt short.
	told *sheaf.Error
	// took is how long the last attempt waited for its node.
	took time.Duration
	// writes: its answers tell of the route. route is its number, node and at are where the
	// last attempt went.
	writes bool
	route  int
	node   *node
	at     uint32
	// patient: it goes on for as long as ctx allows, and not on the budget.
	patient bool
	// span is the call's, if it is traced. begun is when its request was encoded, and serialize
	// how long that took.
	span      trace.Span
	begun     time.Time
	serialize time.Duration
}

// answered is what the attempt that ended a call measured.
type answered struct {
	trailer   metadata.MD
	begun     time.Time
	roundTrip time.Duration
}

// send makes one attempt. sent is false if no byte of the request can have
// reached the node.
type send func(ctx context.Context, conn *grpc.ClientConn, opts ...grpc.CallOption) (sent bool, err error)

func (c *Client) newCall(op string) *call {
	c.budget.earn()
	return &call{op: op, policy: c.retry}
}

// run sends a call until it succeeds, may not be repeated, or ctx ends. A
// non-nil error is a *sheaf.Error.
func (c *Client) run(ctx context.Context, call *call, send send) (answered, error) {
	if c.tracer != nil {
		return c.tracedRun(ctx, call, send)
	}
	return c.attempts(ctx, call, send)
}

func (c *Client) attempts(ctx context.Context, call *call, send send) (answered, error) {
	for {
		var last answered
		start := time.Now()
		last.begun = start
		call.node, call.at = c.nodes.pick(call.route)
		attempt, cancel := call.attempt(ctx)
		sent, err := send(attempt, call.node.conn, grpc.Trailer(&last.trailer))
		cancel()
		last.roundTrip = time.Since(start)
		call.took = last.roundTrip
		c.clock.observe(last.trailer, start, last.roundTrip)
		if err == nil {
			call.attempts++
			c.nodes.learn(call.route, call.at, last.trailer, call.writes)
			return last, nil
		}
		if end := c.again(ctx, call, err, sent); end != nil {
			return last, end
		}
	}
}

// attempt is the context of one attempt.
func (call *call) attempt(ctx context.Context) (context.Context, context.CancelFunc) {
	if call.policy.AttemptTimeout == 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, call.policy.AttemptTimeout)
}

// clockSlack bounds the wait for a context to notice that its deadline has passed.
const clockSlack = 10 * time.Millisecond

// lastTry is how much of a call's time another attempt takes, at least: with less, its answer would
// come too late.
const lastTry = 50 * time.Millisecond

// nextTry is how much of the call's time another attempt takes, at least. The only node, asked again,
// waits for a leader as long as it just did.
func (c *Client) nextTry(call *call, failure *sheaf.Error) time.Duration {
	if failure.Code == sheaf.NotLeader && len(c.nodes.all) == 1 {
		return max(lastTry, call.took)
	}
	return lastTry
}

// again decides what follows a failed attempt. It returns nil, after the
// back-off, when the call is to be sent again, and otherwise the error that the
// call ends with.
func (c *Client) again(ctx context.Context, call *call, err error, sent bool) error {
	call.attempts++
	failure := call.understand(err, sent)
	// What an attempt that ctx cut short says is only that. Of what a node has said there is no Err.
	if c := status.Code(failure.Err); c != codes.DeadlineExceeded && c != codes.Canceled {
		call.told = failure
	}
	if elsewhere(failure.Code) {
		c.nodes.leave(call.route, call.at)
	}
	st := call.state.after(failure.Code)
	if call.id != "" {
		call.state = st.to
	}
	deadline, bounded := ctx.Deadline()
	if bounded && !time.Now().Before(deadline) {
		select { // what ended the attempt may have looked at the clock before ctx did
		case <-ctx.Done():
		case <-time.After(clockSlack):
		}
	}
	left := DefaultTimeout // a longer wait is not worth it without a deadline either
	if bounded {
		left = time.Until(deadline)
	}
	asks := failure.RetryAfter
	switch {
	case asks <= left:
		call.turnedAway = 0
	case elsewhere(failure.Code) && call.turnedAway+1 < len(c.nodes.all):
		call.turnedAway++
		asks = 0 // that is this node's wait, and the next attempt another's
	default:
		call.turnedAway++
	}
	delay := call.policy.delay(call.attempts, asks, rand.Float64())
	refused := call.told == failure && failure.Err == nil // by a node
	if bounded && refused && delay > left {
		delay = asks + (left-asks)/2
	}
	switch {
	case !sendAgain(failure.Code):
		return call.end(st, failure)
	case ctx.Err() != nil:
		return call.interrupted(ctx, failure)
	case call.attempts >= call.policy.MaxAttempts && !call.patient:
		return call.end(st, failure)
	case asks > left, bounded && refused && left-asks < c.nextTry(call, failure):
		// The wait would outlast the deadline: the caller learns more from the
		// refusal than from a deadline that passed in sleep.
		return call.end(st, failure)
	case c.closed.Load():
		failure.Detail = "the client was closed"
		return call.end(st, failure)
	case call.node.secure.failed() != nil && (call.id == "" || !sent) && len(c.nodes.all) == 1:
		failure.Detail = call.node.secure.failed().Error()
		return call.end(st, failure)
	case !call.patient && !c.budget.spend():
		failure.Detail = strings.TrimPrefix(failure.Detail+"; "+budgetEmpty, "; ")
		return call.end(st, failure)
	}
	call.retried(failure, delay)
	wait := time.NewTimer(delay)
	defer wait.Stop()
	select {
	case <-wait.C:
		return nil
	case <-ctx.Done():
		return call.interrupted(ctx, failure)
	}
}

// budgetEmpty is the end of the detail of an error that would have been retried.
const budgetEmpty = "not retried: the client's retry budget is empty, because many of its calls fail"

// end is the error of a call whose last attempt failed like this.
func (call *call) end(st step, failure *sheaf.Error) error {
	if call.id == "" {
		return failure
	}
	if st.hide {
		failure = &sheaf.Error{
			Code:       sheaf.OutcomeUnknown,
			Op:         call.op,
			Detail:     fmt.Sprintf("no answer told what became of an earlier one of %d attempts, and the last was refused", call.attempts),
			RetryAfter: failure.RetryAfter,
			Err:        failure,
		}
	}
	return call.nameID(failure)
}

// interrupted is the error of a call whose context ended while it waited.
func (call *call) interrupted(ctx context.Context, failure *sheaf.Error) error {
	code, known := sheaf.NotProposed, "none of them was applied"
	if call.state == unsure {
		code, known = sheaf.OutcomeUnknown, "the batch may be applied or not"
	}
	cause := ctx.Err()
	if errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
		cause = context.DeadlineExceeded // a time of the client's own was over
	}
	ended := "the caller's time was over"
	if errors.Is(cause, context.Canceled) {
		ended = "the caller gave up"
	}
	detail := fmt.Sprintf("%s after %d attempts: %s", ended, call.attempts, known)
	if call.id == "" {
		detail = fmt.Sprintf("%s after %d attempts", ended, call.attempts)
	}
	// Beside an attempt whose outcome is unknown, what one before it said is no reason.
	if call.told != nil && (call.told == failure || call.state != unsure) {
		cause = fmt.Errorf("%w (the last that told why: %w)", cause, call.told)
	}
	return call.nameID(&sheaf.Error{Code: code, Op: call.op, Detail: detail, Err: cause, RetryAfter: failure.RetryAfter})
}

// nameID puts the request ID where a person finds it, if it is still needed.
func (call *call) nameID(e *sheaf.Error) *sheaf.Error {
	if e.Code == sheaf.OutcomeUnknown {
		e.Detail += fmt.Sprintf(" (request ID %s)", call.id)
	}
	return e
}
