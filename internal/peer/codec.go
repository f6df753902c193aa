package peer

import (
	"fmt"

	"google.golang.org/grpc/mem"
)

// out is a message to send, in parts that are not copied; in is one that was received, in
// one piece that belongs to the receiver.
type (
	out struct{ parts [][]byte }
	in  struct{ data []byte }
)

// codec leaves bytes alone.
type codec struct{}

func (codec) Name() string { return "sheaf-peer" }

func (codec) Marshal(v any) (mem.BufferSlice, error) {
	o, ok := v.(*out)
	if !ok {
		return nil, fmt.Errorf("peer: cannot send a %T", v)
	}
	data := make(mem.BufferSlice, 0, len(o.parts))
	for _, part := range o.parts {
		data = append(data, mem.SliceBuffer(part))
	}
	return data, nil
}

func (codec) Unmarshal(data mem.BufferSlice, v any) error {
	i, ok := v.(*in)
	if !ok {
		return fmt.Errorf("peer: cannot receive a %T", v)
	}
	i.data = data.Materialize()
	return nil
}
