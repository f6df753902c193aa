package client

import (
	"context"
	"sync"
	"time"

	"google.golang.org/grpc"

	sheafv1 "github.com/sheafdb/sheaf/api/sheaf/v1"
)

// Hedge asks a second endpoint too when the first has not answered a read for that long, and
// takes the first good answer; the other request is cancelled. It cuts the slowest reads for some
// more load: with the latency that one read in twenty exceeds, it is a twentieth. Each second
// request costs a token of the client's [RetryBudget], and is not sent without one.
//
// It does nothing with a single endpoint, and there is nothing like it for writes. 0 is none.
func Hedge(after time.Duration) ReadOption {
	return readOption(func(o *readOptions) { o.hedge = after })
}

// getAll asks one endpoint once.
func getAll(ctx context.Context, conn *grpc.ClientConn, msg *message, opts ...grpc.CallOption) error {
	return conn.Invoke(ctx, sheafv1.KVService_GetAll_FullMethodName, msg, msg, append(opts, grpc.ForceCodecV2(codec{}))...)
}

// hedged is one attempt at a read: getAll at call.node, and after a while at the next endpoint
// too. An answer that no endpoint would change, an error of the caller's say, counts as good. The
// error of an attempt that failed at both is the first endpoint's.
//
// Nobody reads the request when it returns: the loser is waited for, which takes no longer than its
// cancellation.
func (c *Client) hedged(ctx context.Context, call *call, after time.Duration, msg *message, opts ...grpc.CallOption) error {
	type reply struct {
		msg   message
		err   error
		first bool
	}
	replies := make(chan reply, 2)
	var asking sync.WaitGroup
	defer asking.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ask := func(n *node, first bool, opts ...grpc.CallOption) {
		asking.Go(func() {
			r := reply{msg: message{request: msg.request}, first: first}
			r.err = getAll(ctx, n.conn, &r.msg, opts...)
			replies <- r
		})
	}
	ask(call.node, true, opts...)
	slow := time.NewTimer(after)
	defer slow.Stop()
	var failure error
	for open := 1; ; {
		select {
		case <-slow.C:
			if c.budget.spend() {
				ask(c.nodes.behind(call.at), false)
				open++
			}
		case r := <-replies:
			open--
			if r.err == nil {
				msg.answer = r.msg.answer
				return nil
			}
			if failure == nil || r.first {
				failure = r.err
			}
			if open == 0 {
				return failure
			}
			if !sendAgain(call.understand(r.err, true).Code) {
				return r.err
			}
		}
	}
}
