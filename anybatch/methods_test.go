package anybatch_test

import (
	"bytes"
	"testing"
	"unsafe"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sheafdb/sheaf/anybatch"
)

// The messages below have by hand what vtprotobuf generates, so that this module
// need not depend on it. Its own code is tested in the bench module.

// quick says that its own method decoded it. It has nothing to keep, so its
// ResetVT must not be called.
type quick struct {
	durationpb.Duration
	decoded int
}

func (q *quick) UnmarshalVT(value []byte) error {
	q.decoded++
	return proto.Unmarshal(value, &q.Duration)
}

func (q *quick) ResetVT() { panic("called") }

func TestGeneratedMethodsAreUsedWhenThereAre(t *testing.T) {
	var types anybatch.Builder
	quicks := anybatch.Register[quick](&types)
	registry, err := types.Build()
	if err != nil {
		t.Fatal(err)
	}
	b := registry.NewBatch(anybatch.Limits{})
	for range 3 {
		if err := b.Decode(wrap(t, &durationpb.Duration{Seconds: 4})); err != nil {
			t.Fatal(err)
		}
		q := quicks.In(b).At(0)
		if q.Seconds != 4 || q.decoded != 1 {
			t.Errorf("%d s, decoded %d times since it was cleared", q.Seconds, q.decoded)
		}
		b.Reset()
	}
}

// odd has methods of the right names and another form.
type odd struct{ durationpb.Duration }

func (*odd) UnmarshalVT([]byte, bool) error { panic("called") }
func (*odd) ResetVT() error                 { panic("called") }

func TestMethodsOfAnotherFormAreLeftAlone(t *testing.T) {
	var types anybatch.Builder
	odds := anybatch.Register[odd](&types)
	registry, err := types.Build()
	if err != nil {
		t.Fatal(err)
	}
	b := registry.NewBatch(anybatch.Limits{})
	if err := b.Decode(wrap(t, &durationpb.Duration{Seconds: 4})); err != nil || odds.In(b).At(0).Seconds != 4 {
		t.Error(err)
	}
	b.Reset()
}

// blob is a bytes value that can point into its input, with a ResetVT that keeps
// its capacity, as vtprotobuf's does.
type blob struct{ wrapperspb.BytesValue }

func (m *blob) UnmarshalVT(value []byte) error {
	body, err := blobBody(value)
	m.Value = append(m.Value[:0], body...)
	return err
}

func (m *blob) UnmarshalVTUnsafe(value []byte) (err error) {
	m.Value, err = blobBody(value)
	return err
}

func (m *blob) ResetVT() {
	kept := m.Value[:0]
	m.Reset()
	m.Value = kept
}

func blobBody(value []byte) ([]byte, error) {
	if len(value) == 0 {
		return nil, nil
	}
	_, _, n := protowire.ConsumeTag(value)
	body, n := protowire.ConsumeBytes(value[n:])
	return body, protowire.ParseError(min(n, 0))
}

// inside says whether part points into whole.
func inside(part, whole []byte) bool {
	at, begin := uintptr(unsafe.Pointer(unsafe.SliceData(part))), uintptr(unsafe.Pointer(unsafe.SliceData(whole)))
	return at >= begin && at < begin+uintptr(len(whole))
}

func TestCapacityOfBytesIsKept(t *testing.T) {
	var types anybatch.Builder
	blobs := anybatch.Register[blob](&types)
	registry, err := types.Build()
	if err != nil {
		t.Fatal(err)
	}
	body := fieldOf(t, wrap(t, wrapperspb.Bytes([]byte("one")), wrapperspb.Bytes([]byte("two"))))
	b := registry.NewBatch(anybatch.Limits{})
	if allocs := testing.AllocsPerRun(10, func() {
		b.Reset()
		if err := b.DecodeField(body, 3); err != nil {
			t.Fatal(err)
		}
	}); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
	if inside(blobs.In(b).At(0).Value, body) {
		t.Error("a value points into the input, which nobody asked for")
	}
}

// TestAliasesAreGoneAfterReset: a value that ResetVT had cut to length 0 would
// still hold the first input, and whoever appends to it would write there.
func TestAliasesAreGoneAfterReset(t *testing.T) {
	var types anybatch.Builder
	blobs := anybatch.Register[blob](&types, anybatch.AliasInput)
	registry, err := types.Build()
	if err != nil {
		t.Fatal(err)
	}
	body := fieldOf(t, wrap(t, wrapperspb.Bytes([]byte("one"))))
	b := registry.NewBatch(anybatch.Limits{})
	if err := b.DecodeField(body, 3); err != nil {
		t.Fatal(err)
	}
	m := blobs.In(b).At(0)
	if string(m.Value) != "one" || !inside(m.Value, body) {
		t.Errorf("%q was copied", m.Value)
	}
	b.Reset()
	if m.Value != nil {
		t.Error("the slot still holds the input")
	}
}

// TestWhatAStreamReadStaysUntilReset: with AliasInput no message may share its
// bytes with a later one, however the stream's buffer grows.
func TestWhatAStreamReadStaysUntilReset(t *testing.T) {
	var types anybatch.Builder
	anybatch.Register[blob](&types, anybatch.AliasInput)
	registry, err := types.Build()
	if err != nil {
		t.Fatal(err)
	}
	var want []proto.Message
	var anys []*anypb.Any
	for i := range 300 {
		m := wrapperspb.Bytes(bytes.Repeat([]byte{byte(i)}, i))
		want, anys = append(want, m), append(anys, wrap(t, m)...)
	}
	text, _ := delimited(t, anys)
	b := registry.NewBatch(anybatch.Limits{Messages: len(anys)})
	s := anybatch.NewStream(&endless{text: text})
	for range 3 {
		if err := s.Fill(b); err != nil {
			t.Fatal(err)
		}
		sameMessages(t, b, want...)
	}
	if allocs := testing.AllocsPerRun(5, func() {
		if err := s.Fill(b); err != nil {
			t.Fatal(err)
		}
	}); allocs != 0 {
		t.Errorf("%v allocations once the buffer has grown", allocs)
	}
}

// TestAStreamCountsWhatItsMessagesHoldOnTo: an Any may have fields that nobody knows, and a
// message that points into its input keeps them too.
func TestAStreamCountsWhatItsMessagesHoldOnTo(t *testing.T) {
	var types anybatch.Builder
	anybatch.Register[blob](&types, anybatch.AliasInput)
	registry, err := types.Build()
	if err != nil {
		t.Fatal(err)
	}
	padded := wrap(t, wrapperspb.Bytes([]byte("small")))
	padded[0].ProtoReflect().SetUnknown(protowire.AppendBytes(protowire.AppendTag(nil, 15, protowire.BytesType), make([]byte, 1000)))
	text, _ := delimited(t, []*anypb.Any{padded[0], padded[0], padded[0]})
	b := registry.NewBatch(anybatch.Limits{Bytes: 2500})
	s := anybatch.NewStream(bytes.NewReader(text))
	for _, want := range []int{2, 1} {
		if err := s.Fill(b); err != nil || b.Len() != want {
			t.Fatalf("%d messages, %v, want %d", b.Len(), err, want)
		}
	}
}
