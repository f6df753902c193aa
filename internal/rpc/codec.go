package rpc

import (
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // the codec for what is not a frame
	"google.golang.org/grpc/mem"
)

// frame receives a request as the bytes that came in, undecoded: batches are
// walked in place, and a malformed message is answered by our own table.
type frame struct {
	// bytes belong to the garbage collector: they stay valid for as long as
	// anything views them.
	bytes []byte
}

// codec hands frames over as they are and leaves every other message to
// protobuf. Its name is protobuf's, because what is on the wire is.
type codec struct{ proto encoding.CodecV2 }

func newCodec() codec { return codec{encoding.GetCodecV2("proto")} }

func (codec) Name() string { return "proto" }

func (c codec) Marshal(v any) (mem.BufferSlice, error) { return c.proto.Marshal(v) }

// Unmarshal fills a frame with one contiguous run of bytes. A message that
// arrived in one buffer is kept as it is; the reference taken here is never
// returned to gRPC's pool, so nothing can overwrite what the log still reads.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	f, ok := v.(*frame)
	if !ok {
		return c.proto.Unmarshal(data, v)
	}
	if len(data) == 1 {
		data[0].Ref()
		f.bytes = data[0].ReadOnlyData()
		return nil
	}
	f.bytes = data.Materialize()
	return nil
}
