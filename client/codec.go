package client

import (
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
)

// message is an encoded protobuf message, sent or received as it is.
type message struct {
	request mem.Buffer // sent; the caller has a reference until the call returns
	answer  []byte     // received
	// taken: gRPC has asked for the bytes. It asks once a connection carries
	// the call and before it sends any of them, so a call that failed with
	// taken unset has certainly not reached the node.
	taken bool
}

// codec passes a *message through and leaves every other type to protobuf. Its
// name is protobuf's too: on the wire the two cannot be told apart.
type codec struct{}

var _ encoding.CodecV2 = codec{}

// Name makes the content type application/grpc+proto.
func (codec) Name() string { return proto.Name }

// Marshal does not copy: gRPC gets a reference to the bytes and gives it back when it is
// done with them, which can be after the call has returned.
func (codec) Marshal(v any) (mem.BufferSlice, error) {
	if m, ok := v.(*message); ok {
		m.taken = true
		m.request.Ref()
		return mem.BufferSlice{m.request}, nil
	}
	return encoding.GetCodecV2(proto.Name).Marshal(v)
}

// Unmarshal gives a *message a buffer of its own.
func (codec) Unmarshal(data mem.BufferSlice, v any) error {
	if m, ok := v.(*message); ok {
		m.answer = data.Materialize()
		return nil
	}
	return encoding.GetCodecV2(proto.Name).Unmarshal(data, v)
}
