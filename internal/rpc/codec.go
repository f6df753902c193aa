package rpc

import (
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // the codec for what is not a frame
	"google.golang.org/grpc/mem"

	"github.com/sheafdb/sheaf/internal/wire"
)

// frame receives a request as the bytes that came in, undecoded: batches are
// walked in place, and a malformed message is answered by our own table.
type frame struct {
	// buffer has the bytes, with one reference for whoever asked for the frame; nil
	// before a message has come.
	buffer *wire.Buffer
}

// encoded is an answer that is sent as it is. Whoever sends it gives its reference away.
type encoded struct{ buffer mem.Buffer }

// codec hands frames and encoded answers over as they are and leaves every other message to
// protobuf. Its name is protobuf's, because what is on the wire is.
type codec struct{ proto encoding.CodecV2 }

func newCodec() codec { return codec{encoding.GetCodecV2("proto")} }

func (codec) Name() string { return "proto" }

func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	if e, ok := v.(*encoded); ok {
		return mem.BufferSlice{e.buffer}, nil
	}
	return c.proto.Marshal(v)
}

// Unmarshal fills a frame with one contiguous run of bytes: a message of more than 16
// KiB arrives in pieces, and how long gRPC's own buffers live is gRPC's affair.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	f, ok := v.(*frame)
	if !ok {
		return c.proto.Unmarshal(data, v)
	}
	f.buffer = wire.NewBuffer(data.Len())
	data.CopyTo(f.buffer.Bytes())
	return nil
}
