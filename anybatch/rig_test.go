package anybatch_test

import (
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sheafdb/sheaf/anybatch"
)

// rig is a registry of three types that every Go program with protobuf has: two
// of scalars, and one that nests, with a oneof, a map and lists.
type rig struct {
	registry  *anybatch.Registry
	times     anybatch.Type[timestamppb.Timestamp]
	durations anybatch.Type[durationpb.Duration]
	values    anybatch.Type[structpb.Value]
}

func newRig(t testing.TB) rig {
	t.Helper()
	var b anybatch.Builder
	r := rig{
		times:     anybatch.Register[timestamppb.Timestamp](&b),
		durations: anybatch.Register[durationpb.Duration](&b),
		values:    anybatch.Register[structpb.Value](&b),
	}
	registry, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	r.registry = registry
	return r
}

// wrap is the Any of each message.
func wrap(t testing.TB, messages ...proto.Message) []*anypb.Any {
	t.Helper()
	anys := make([]*anypb.Any, len(messages))
	for i, m := range messages {
		a, err := anypb.New(m)
		if err != nil {
			t.Fatal(err)
		}
		anys[i] = a
	}
	return anys
}

// fieldOf encodes a message whose field 3 is the list of Anys, between fields
// that a walk has to pass over.
func fieldOf(t testing.TB, anys []*anypb.Any) []byte {
	t.Helper()
	out := []byte{0x08, 0x96, 0x01, 0x12, 0x02, 'h', 'i'} // 1: varint 150, 2: "hi"
	for _, a := range anys {
		encoded, err := proto.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		out = appendBytesField(out, 3, encoded)
		out = append(out, 0x25, 1, 2, 3, 4) // 4: fixed32
	}
	return out
}

// sameMessages fails when the batch does not hold exactly these, in order.
func sameMessages(t testing.TB, b *anybatch.Batch, want ...proto.Message) {
	t.Helper()
	if b.Len() != len(want) {
		t.Fatalf("the batch has %d messages, want %d", b.Len(), len(want))
	}
	for i, ref := range b.All() {
		if got := b.Message(ref); !proto.Equal(got, want[i]) {
			t.Fatalf("message %d is %v, want %v", i, got, want[i])
		}
	}
}
