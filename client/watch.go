package client

import (
	"context"
	"io"
	"iter"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/anybatch"
	sheafv1 "github.com/sheafdb/sheaf/api/sheaf/v1"
)

// WatchOptions say which changes to follow, and from where on. The zero value follows all keys from
// now on.
type WatchOptions struct {
	// Prefix: only keys that begin with these bytes.
	Prefix []byte
	// Token is where to begin: that of the last [Event] that was taken in, on whichever node.
	Token string
	// Oldest begins, without a Token, with the oldest change that is kept.
	Oldest bool
	// Progress, if not nil, is called with a token when the watch has begun, and then whenever
	// ProgressEvery passes without an event: what was committed up to there has come. It is called by
	// the loop over the events.
	Progress func(token string)
	// ProgressEvery is at least 100 ms; 0 is 10 s.
	ProgressEvery time.Duration
}

// Event is one committed batch, as far as its keys have the prefix, or keys that have expired.
type Event struct {
	// Version is that of every key that the batch put; 0 when keys have expired.
	Version uint64
	// Changes are in the order of the batch, those of one group after those of another. They belong
	// to the caller and view one buffer for each MiB, so holding on to one holds all of that.
	Changes []Change
	// Token goes on behind this event, and After is the one that it comes directly behind: nothing
	// that the watch asks for lies between them.
	Token, After string
}

// Change is one key that a batch has changed.
type Change struct {
	Key, Value []byte
	// TypeURL, when set, says that Value is the payload of a google.protobuf.Any of this type.
	TypeURL string
	// TTL is how long the key was given to live; 0 is until it is deleted.
	TTL time.Duration
	// Delete says that the key is gone, and Expired that it is because its time was over.
	Delete, Expired bool
}

// Any is the value as the google.protobuf.Any that it was written as; nil when it was not.
func (c *Change) Any() *anypb.Any {
	if c.TypeURL == "" {
		return nil
	}
	return &anypb.Any{TypeUrl: c.TypeURL, Value: c.Value}
}

// DecodeInto adds the event's typed values to a batch of decoded messages, in their order; the
// others are left out. A type that the batch does not know is an error, after which the
// batch has those before it.
func (e *Event) DecodeInto(batch *anybatch.Batch) error {
	for i := range e.Changes {
		if change := &e.Changes[i]; change.TypeURL != "" {
			if err := batch.DecodeValue(change.TypeURL, change.Value); err != nil {
				return err
			}
		}
	}
	return nil
}

// Watch yields every committed batch that writes a key of the prefix: once, whole, and in the order
// of its group's log (docs/guarantees.md says which order there is among groups). A failure is
// yielded last, alone; COMPACTED means that the watch has fallen behind what is kept, so that
// batches are missing: see [Client.Sync].
//
// A watch that breaks, or whose node shuts down, goes on by itself where it was, at another node if
// there is one, for as long as ctx allows; only one that has not begun yet ends as other calls do, after
// [WithTimeout] at the latest, and with a policy of one attempt all do. Each loop over the result is
// a new watch, which begins where o says.
func (c *Client) Watch(ctx context.Context, o WatchOptions) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		ctx, begun, cancel := c.untilBegun(ctx)
		defer cancel() // ends the stream when the caller breaks off
		w := watch{
			begun:    begun,
			request:  sheafv1.WatchRequest{Prefix: o.Prefix, Token: o.Token, Oldest: o.Oldest, ProgressMs: uint32(milliseconds(o.ProgressEvery))},
			progress: o.Progress,
		}
		if end := c.follow(ctx, c.newCall("watch"), &w, func(e Event) bool { return yield(e, nil) }); end != nil {
			yield(Event{}, end)
		}
	}
}

// untilBegun is a context that ends when the time of a single call is over (see [WithTimeout]), unless
// begun is called before.
func (c *Client) untilBegun(ctx context.Context) (bounded context.Context, begun, cancel func()) {
	bounded, end := context.WithCancelCause(ctx)
	patience := time.AfterFunc(c.timeout, func() { end(context.DeadlineExceeded) })
	return bounded, func() { patience.Stop() }, func() {
		patience.Stop()
		end(nil)
	}
}

// watch is where a Watch stands.
type watch struct {
	request  sheafv1.WatchRequest
	progress func(token string)
	begun    func() // is called when a node has answered
	marks    int    // of this stream
	// event has what has come of a batch.
	event    Event
	typeURLs map[string]string
}

// follow passes the events on until take is false, or there is no going on.
func (c *Client) follow(ctx context.Context, call *call, w *watch, take func(Event) bool) error {
	for {
		call.node, call.at = c.nodes.pick(call.route)
		err := w.stream(ctx, call.node.conn, call, take)
		if err == nil {
			return nil
		}
		if end := c.again(ctx, call, err, true); end != nil {
			return end
		}
	}
}

var watchDesc = grpc.StreamDesc{StreamName: "Watch", ServerStreams: true}

// stream passes on what one stream brings. It returns nil when the caller has had enough.
func (w *watch) stream(ctx context.Context, conn *grpc.ClientConn, call *call, take func(Event) bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w.event, w.marks = Event{}, 0
	opened := time.Now()
	stream, err := conn.NewStream(ctx, &watchDesc, sheafv1.KVService_Watch_FullMethodName, grpc.ForceCodecV2(codec{}))
	if err != nil {
		return err
	}
	if err := stream.SendMsg(&w.request); err != nil && err != io.EOF { // then RecvMsg says why
		return err
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	for {
		var msg message
		if err := stream.RecvMsg(&msg); err != nil {
			if err == io.EOF {
				err = &sheaf.Error{Code: sheaf.Draining, Detail: "the node ended the watch"}
			}
			return err
		}
		w.begun()
		call.patient = call.policy.MaxAttempts > 1
		done, more, ok := w.read(msg.answer)
		// A mark is also what a stream opens with, of which there may be one after another.
		if done || more || time.Since(opened) > call.policy.MaxDelay {
			call.attempts = 0
		}
		switch {
		case !ok:
			return &sheaf.Error{Code: sheaf.Internal, Op: "watch", Detail: "the node's message is malformed"}
		case more:
			continue
		case done:
			e := w.event
			w.event = Event{}
			w.request.Token, w.request.Oldest = e.Token, false
			if !take(e) {
				return nil
			}
		case w.event.Token != "":
			w.marks++
			w.request.Token, w.request.Oldest = w.event.Token, false
			if w.progress != nil {
				w.progress(w.event.Token)
			}
		}
	}
}

// read takes in one message. done says that the event is whole, more that it goes on; neither that it
// is a mark.
func (w *watch) read(msg []byte) (done, more, ok bool) {
	e := &w.event
	changes := 0
	for rest := msg; len(rest) > 0; changes++ { // how many there are, about: most fields are entries
		_, _, n := protowire.ConsumeField(rest)
		if n < 0 {
			return false, false, false
		}
		rest = rest[n:]
	}
	if len(e.Changes) == 0 {
		e.Changes = make([]Change, 0, changes)
	}
	ok = eachField(msg, func(f field, data []byte, number uint64) bool {
		switch f {
		case field{1, protowire.BytesType}:
			e.Token = string(data)
		case field{2, protowire.BytesType}:
			change, ok := w.change(data)
			e.Changes = append(e.Changes, change)
			return ok
		case field{3, protowire.VarintType}:
			e.Version = number
		case field{4, protowire.VarintType}:
			more = number != 0
		case field{5, protowire.BytesType}:
			if e.After == "" {
				e.After = string(data)
			}
		}
		return true
	})
	return len(e.Changes) > 0 && !more, more, ok
}

func (w *watch) change(msg []byte) (change Change, ok bool) {
	ok = eachField(msg, func(f field, data []byte, number uint64) bool {
		switch f {
		case field{1, protowire.BytesType}:
			change.Key = data
		case field{2, protowire.BytesType}:
			change.Value = data
		case field{3, protowire.VarintType}:
			change.Delete = number != 0
		case field{4, protowire.VarintType}:
			change.TTL = time.Duration(number) * time.Millisecond
		case field{5, protowire.BytesType}:
			change.TypeURL = w.typeURL(data)
		case field{7, protowire.VarintType}:
			change.Expired = number != 0
		}
		return true
	})
	return change, ok
}

// maxTypeURLs bounds those that are remembered.
const maxTypeURLs = 1024

// typeURL is data as a string, the same for the same: there are few types.
func (w *watch) typeURL(data []byte) string {
	if known, ok := w.typeURLs[string(data)]; ok {
		return known
	}
	if w.typeURLs == nil || len(w.typeURLs) == maxTypeURLs {
		w.typeURLs = make(map[string]string)
	}
	text := string(data)
	w.typeURLs[text] = text
	return text
}
