package main

import (
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
)

// blob is a received message as gRPC has it: in the pieces it arrived in. Whoever
// received it must free them.
type blob struct{ pieces mem.BufferSlice }

// encoded is a message to send that is encoded already. gRPC may read it until
// the call has ended on the connection, so it must never change.
type encoded []byte

// codec passes both through without a copy and leaves the rest to protobuf.
type codec struct{}

// Name is protobuf's: on the wire nobody can tell the two apart.
func (codec) Name() string { return proto.Name }

// Marshal gives gRPC the bytes of an encoded message.
func (codec) Marshal(v any) (mem.BufferSlice, error) {
	if bytes, ok := v.(encoded); ok {
		return mem.BufferSlice{mem.SliceBuffer(bytes)}, nil
	}
	return encoding.GetCodecV2(proto.Name).Marshal(v)
}

// Unmarshal lets a blob have the buffers that came in.
func (codec) Unmarshal(data mem.BufferSlice, v any) error {
	if b, ok := v.(*blob); ok {
		data.Ref()
		b.pieces = append(mem.BufferSlice(nil), data...)
		return nil
	}
	return encoding.GetCodecV2(proto.Name).Unmarshal(data, v)
}
