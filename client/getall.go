package client

import (
	"context"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/sheafdb/sheaf"
)

// Values is the answer to a GetAll.
type Values struct {
	// Items has one item per key, in the order asked. All of them belong to
	// the caller and view one buffer, so holding on to one holds all; clone a
	// value that outlives the rest by far.
	Items []sheaf.Item
	// ETag is that of exactly the keys asked for: give it to [IfMatch] of a
	// write that names the same keys.
	ETag sheaf.ETag
}

// GetAll reads a set of keys at one level: at LINEARIZABLE they are the values
// of one instant. A key that is absent is an item that is not Found, and no
// error.
func (c *Client) GetAll(ctx context.Context, keys [][]byte, opts ...ReadOption) (Values, error) {
	return c.read(ctx, "getall", keys, opts)
}

func (c *Client) read(ctx context.Context, op string, keys [][]byte, opts []ReadOption) (Values, error) {
	o := gatherRead(opts)
	return c.readWith(ctx, op, keys, &o)
}

func (c *Client) readWith(ctx context.Context, op string, keys [][]byte, o *readOptions) (Values, error) {
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	size := requestOverheadBytes
	for _, key := range keys {
		size += keyOverheadBytes + len(key)
	}
	request := requests.Get(size)
	*request = (*request)[:0]
	for _, key := range keys {
		*request = appendKey(*request, key)
	}
	*request = appendReadOptions(*request, o)
	size = len(*request)
	buffer := requests.asBuffer(request)
	defer buffer.Free()
	answer, err := c.sendGetAll(ctx, op, buffer, size, c.nodes.routeOf(slices.Values(keys)), o)
	if err != nil {
		return Values{}, err
	}
	return c.decodeAnswer(op, answer, len(keys))
}

// keyOverheadBytes is what a key of a request needs besides its bytes, at most.
const keyOverheadBytes = 1 + 5

// sendGetAll sends an encoded request until it is answered.
func (c *Client) sendGetAll(ctx context.Context, op string, request mem.Buffer, size, route int, o *readOptions) ([]byte, error) {
	ctx = announce(ctx, size)
	call := c.newCall(op)
	call.route = route
	if o.noRetry {
		call.policy.MaxAttempts = 1
	}
	msg := message{request: request}
	_, err := c.run(ctx, call, func(ctx context.Context, conn *grpc.ClientConn, opts ...grpc.CallOption) (bool, error) {
		if o.hedge > 0 && len(c.nodes.all) > 1 {
			return true, c.hedged(ctx, call, o.hedge, &msg, opts...)
		}
		return true, getAll(ctx, conn, &msg, opts...)
	})
	return msg.answer, err
}

func (c *Client) decodeAnswer(op string, answer []byte, want int) (Values, error) {
	values, ok := decodeValues(answer, want)
	if !ok {
		return Values{}, &sheaf.Error{Code: sheaf.Internal, Op: op, Detail: "the node's answer is malformed or does not have one item per key"}
	}
	return values, nil
}

// field is a field's number and wire type. A field that comes with a type it
// should not have is one nobody knows, and is skipped, as protobuf has it.
type field struct {
	num protowire.Number
	typ protowire.Type
}

// decodeValues reads a GetAllResponse in place: the items view msg. It reports
// false unless there are want of them.
func decodeValues(msg []byte, want int) (Values, bool) {
	values := Values{Items: make([]sheaf.Item, 0, want)}
	ok := eachField(msg, func(f field, data []byte, _ uint64) bool {
		switch f {
		case field{1, protowire.BytesType}:
			var last string
			if n := len(values.Items); n > 0 {
				last = values.Items[n-1].TypeURL
			}
			item, ok := decodeItem(data, last)
			values.Items = append(values.Items, item)
			return ok
		case field{2, protowire.BytesType}:
			values.ETag = sheaf.ETag(data)
		}
		return true
	})
	return values, ok && len(values.Items) == want
}

// decodeItem takes the type URL of the item before too: most are the same, and need no string
// of their own.
func decodeItem(msg []byte, last string) (sheaf.Item, bool) {
	var item sheaf.Item
	ok := eachField(msg, func(f field, data []byte, number uint64) bool {
		switch f {
		case field{1, protowire.BytesType}:
			item.Key = data
		case field{2, protowire.BytesType}:
			item.Value = data
		case field{3, protowire.VarintType}:
			item.Version = number
		case field{4, protowire.VarintType}:
			item.Found = number != 0
		case field{5, protowire.BytesType}:
			if item.TypeURL = last; last != string(data) {
				item.TypeURL = string(data)
			}
		}
		return true
	})
	return item, ok
}

// eachField visits the fields of a message with their data, for a field of
// bytes, or number, for a varint. It reports false if the message is malformed
// or visit refuses a field.
func eachField(msg []byte, visit func(f field, data []byte, number uint64) bool) bool {
	for len(msg) > 0 {
		num, typ, n := protowire.ConsumeTag(msg)
		if n < 0 {
			return false
		}
		msg = msg[n:]
		var data []byte
		var number uint64
		switch typ {
		case protowire.BytesType:
			data, n = protowire.ConsumeBytes(msg)
		case protowire.VarintType:
			number, n = protowire.ConsumeVarint(msg)
		default:
			n = protowire.ConsumeFieldValue(num, typ, msg)
		}
		// The capacity is cut too: appending to one item must not write into the next.
		if n < 0 || !visit(field{num, typ}, data[:len(data):len(data)], number) {
			return false
		}
		msg = msg[n:]
	}
	return true
}
