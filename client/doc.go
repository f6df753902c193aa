// Package client talks to a Sheaf node over gRPC.
//
//	c, err := client.New("localhost:7450")
//	result, err := c.PutAll(ctx, []sheaf.Entry{sheaf.Put("a", "1"), sheaf.Delete("b")})
//
// A batch is encoded once. Those bytes, with one request ID inside, are sent
// on every attempt, so however often an answer is lost the batch is applied
// once. The package retries exactly what the error table ([sheaf.Table])
// allows, within the caller's deadline; what follows each kind of failure is
// the table in steps.go.
//
// Beside the calls of a [Client] there are a [Session], which carries the largest version seen,
// and [Typed] values, of messages or JSON. docs/client.md is the longer page about all of it.
//
// # Errors
//
// Every error that a call returns is a [*sheaf.Error], except one that a
// callback of the caller's own returned, and a [*ValueError] of a typed value that is
// another than it should be. Its code answers the only question
// that matters after a failed write, whether the batch is applied:
//
//	if row, ok := sheaf.CodeOf(err).Row(); ok && row.Outcome == sheaf.Unknown {
//		// repeat it with the same ID, if it is a batch's: client.WithRequestID(result.RequestID)
//	}
//
// An OUTCOME_UNKNOWN error may wrap the refusal of its last attempt, so decide
// by [sheaf.CodeOf], which sees the outermost, where the difference counts.
//
// # Single keys
//
// [Client.Put], [Client.Delete] and [Client.Get] cost a round trip each, and a write an fsync. So
// many goroutines that share a Client share those too: a call that is made while others are on
// their way waits for them to return and then goes with all that came meanwhile, writes in one
// bundle and reads in one GetAll. A call that is alone goes at once. Each has its own answer, and
// fails for its own reasons only. A call by itself is what asks for something that would concern
// the others: [WithRequestID], [IfMatch], [IfNoneMatch], [WithoutRetry], EVENTUAL, an [After] of a
// SEQUENTIAL read, outgoing gRPC metadata in its context, or a large value.
//
// A write that went in a bundle has an ID with a slash in its [Result], which names its place and
// cannot be repeated. Give [WithRequestID] to a write that you may want to repeat yourself.
// Writes of one key that are made at the same time are applied in any order, as ever; one that
// begins after another has returned comes after it, unless that returned OUTCOME_UNKNOWN.
//
// # Not here
//
// A Client knows the nodes that New was given and no others, keeps no cache, and gathers calls of
// single keys only: one PutAll is one batch.
package client
