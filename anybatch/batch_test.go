package anybatch_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sheafdb/sheaf/anybatch"
)

func appendBytesField(to []byte, number protowire.Number, body []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(to, number, protowire.BytesType), body)
}

func TestMessagesComeOutTypedAndInOrder(t *testing.T) {
	r := newRig(t)
	anys := wrap(t, durationpb.New(time.Second), timestamppb.New(time.Unix(7, 0)), durationpb.New(time.Minute))
	for name, decode := range map[string]func(*anybatch.Batch) error{
		"Decode":      func(b *anybatch.Batch) error { return b.Decode(anys) },
		"DecodeField": func(b *anybatch.Batch) error { return b.DecodeField(fieldOf(t, anys), 3) },
	} {
		b := r.registry.NewBatch(anybatch.Limits{})
		if err := decode(b); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		sameMessages(t, b, durationpb.New(time.Second), timestamppb.New(time.Unix(7, 0)), durationpb.New(time.Minute))
		var seconds []int64
		for _, d := range r.durations.In(b).All() {
			seconds = append(seconds, d.Seconds)
		}
		if len(seconds) != 2 || seconds[0] != 1 || seconds[1] != 60 || r.durations.In(b).Len() != 2 {
			t.Errorf("%s: durations are %v", name, seconds)
		}
		if ref := b.At(2); ref.Type != r.durations.ID() || r.durations.In(b).At(ref.Slot).Seconds != 60 {
			t.Errorf("%s: the third message is at %+v", name, ref)
		}
	}
}

// TestNoTwoResultsShareAMessage: also when the slab has grown after the first
// were handed out.
func TestNoTwoResultsShareAMessage(t *testing.T) {
	r := newRig(t)
	b := r.registry.NewBatch(anybatch.Limits{})
	seen := make(map[*durationpb.Duration]int64)
	for i := range int64(1000) {
		if err := b.Decode(wrap(t, &durationpb.Duration{Seconds: i})); err != nil {
			t.Fatal(err)
		}
		seen[r.durations.In(b).At(int32(i))] = i
	}
	if len(seen) != 1000 {
		t.Fatalf("1000 messages are in %d places", len(seen))
	}
	for m, want := range seen {
		if m.Seconds != want {
			t.Fatalf("the message of %d says %d", want, m.Seconds)
		}
	}
}

func TestNoFieldOfAnEarlierMessageShinesThrough(t *testing.T) {
	r := newRig(t)
	b := r.registry.NewBatch(anybatch.Limits{})
	full, err := structpb.NewValue(map[string]any{"a": []any{1.0, "x"}, "b": map[string]any{"c": nil}})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Decode(wrap(t, full, &durationpb.Duration{Seconds: 1, Nanos: 2})); err != nil {
		t.Fatal(err)
	}
	b.Reset()
	if b.Len() != 0 || r.values.In(b).Len() != 0 {
		t.Fatal("something is left after Reset")
	}
	if err := b.Decode(wrap(t, &structpb.Value{}, &durationpb.Duration{Seconds: 9})); err != nil {
		t.Fatal(err)
	}
	sameMessages(t, b, &structpb.Value{}, &durationpb.Duration{Seconds: 9})

	// A message that failed half-way has left nothing either.
	b.Reset()
	half := &anypb.Any{TypeUrl: "x/google.protobuf.Duration", Value: []byte{0x10, 5, 0x08}} // nanos 5, then no value
	if err := b.Decode([]*anypb.Any{half}); !errors.Is(err, anybatch.ErrMalformed) {
		t.Fatalf("half a message: %v", err)
	}
	if err := b.Decode(wrap(t, &durationpb.Duration{Seconds: 3})); err != nil {
		t.Fatal(err)
	}
	sameMessages(t, b, &durationpb.Duration{Seconds: 3})
}

func TestOnlyTheNameBehindTheLastSlashCounts(t *testing.T) {
	r := newRig(t)
	for _, url := range []string{
		"type.googleapis.com/google.protobuf.Duration", "/google.protobuf.Duration",
		"https://example.com/a/b/google.protobuf.Duration", "google.protobuf.Duration",
	} {
		b := r.registry.NewBatch(anybatch.Limits{})
		a := &anypb.Any{TypeUrl: url, Value: []byte{0x08, 1}}
		if err := b.Decode([]*anypb.Any{a}); err != nil {
			t.Errorf("%q: %v", url, err)
		}
		if err := b.DecodeField(fieldOf(t, []*anypb.Any{a}), 3); err != nil || b.Len() != 2 {
			t.Errorf("%q in place: %d messages, %v", url, b.Len(), err)
		}
		if id, ok := r.registry.Find(url); !ok || r.registry.Name(id) != "google.protobuf.Duration" {
			t.Errorf("%q is not found", url)
		}
	}
}

// TestTypesWithNamesOfOneLengthAreToldApart: the quick way to find a type goes by
// the length of its URL.
func TestTypesWithNamesOfOneLengthAreToldApart(t *testing.T) {
	var types anybatch.Builder
	short := anybatch.Register[wrapperspb.Int32Value](&types)
	long := anybatch.Register[wrapperspb.Int64Value](&types)
	registry, err := types.Build()
	if err != nil {
		t.Fatal(err)
	}
	b := registry.NewBatch(anybatch.Limits{})
	if err := b.Decode(wrap(t, wrapperspb.Int64(64), wrapperspb.Int32(32))); err != nil {
		t.Fatal(err)
	}
	sameMessages(t, b, wrapperspb.Int64(64), wrapperspb.Int32(32))
	if short.In(b).Len() != 1 || long.In(b).Len() != 1 {
		t.Error("they are in one slab")
	}
	if err := b.Decode(wrap(t, wrapperspb.UInt32(1))); !errors.Is(err, anybatch.ErrUnknownType) {
		t.Errorf("a third name, one letter longer: %v", err)
	}
	if err := b.Decode(wrap(t, wrapperspb.String("x"))); !errors.Is(err, anybatch.ErrUnknownType) {
		t.Errorf("a third name: %v", err)
	}
}

// TestOnlyRegisteredTypesAreDecoded: the type of the second message is linked
// into this program, and must not be looked up all the same.
func TestOnlyRegisteredTypesAreDecoded(t *testing.T) {
	r := newRig(t)
	anys := wrap(t, durationpb.New(1), wrapperspb.Int64(5), durationpb.New(2))
	for name, decode := range map[string]func(*anybatch.Batch) error{
		"Decode":      func(b *anybatch.Batch) error { return b.Decode(anys) },
		"DecodeField": func(b *anybatch.Batch) error { return b.DecodeField(fieldOf(t, anys), 3) },
	} {
		b := r.registry.NewBatch(anybatch.Limits{})
		err := decode(b)
		var failure *anybatch.Error
		if !errors.As(err, &failure) || !errors.Is(err, anybatch.ErrUnknownType) {
			t.Fatalf("%s: %v", name, err)
		}
		if failure.Index != 1 || failure.TypeURL != "type.googleapis.com/google.protobuf.Int64Value" {
			t.Errorf("%s: the error names %d and %q", name, failure.Index, failure.TypeURL)
		}
		sameMessages(t, b, durationpb.New(1)) // usable, and the rest can go on
		if err := b.Decode(anys[2:]); err != nil {
			t.Fatal(err)
		}
		sameMessages(t, b, durationpb.New(1), durationpb.New(2))
	}
}

func TestMalformedInputNamesItsIndex(t *testing.T) {
	r := newRig(t)
	good := fieldOf(t, wrap(t, durationpb.New(1)))
	for name, bad := range map[string][]byte{
		"cut length":      {0x1a},
		"cut value":       {0x1a, 5, 1},
		"no tag":          {0xff},
		"field 0":         {0x02, 0},
		"stray group end": {0x2c},
		"broken Any":      appendBytesField(nil, 3, []byte{0x0a, 9, 'x'}),
		"broken value":    appendBytesField(nil, 3, appendBytesField(appendBytesField(nil, 1, []byte("/google.protobuf.Duration")), 2, []byte{0x08})),
	} {
		b := r.registry.NewBatch(anybatch.Limits{})
		err := b.DecodeField(append(append([]byte(nil), good...), bad...), 3)
		var failure *anybatch.Error
		if !errors.As(err, &failure) || !errors.Is(err, anybatch.ErrMalformed) || failure.Index != 1 {
			t.Errorf("%s: %v", name, err)
		}
		sameMessages(t, b, durationpb.New(1))
	}
	if err := r.registry.NewBatch(anybatch.Limits{}).DecodeField(good, 0); err == nil {
		t.Error("field number 0 was accepted")
	}
}

func TestLimitsAreKept(t *testing.T) {
	r := newRig(t)
	anys := wrap(t, durationpb.New(1), durationpb.New(2), durationpb.New(3))
	one := len(anys[0].TypeUrl) + len(anys[0].Value)
	for _, c := range []struct {
		limits anybatch.Limits
		want   error
		fit    int
	}{
		{anybatch.Limits{Messages: 2}, anybatch.ErrTooManyMessages, 2},
		{anybatch.Limits{Bytes: 3*one - 1}, anybatch.ErrTooManyBytes, 2},
		{anybatch.Limits{MessageBytes: one - 1}, anybatch.ErrMessageTooLarge, 0},
		{anybatch.Limits{Messages: 3, Bytes: 3 * one, MessageBytes: one}, nil, 3},
	} {
		b := r.registry.NewBatch(c.limits)
		for range 2 { // Reset gives the room back
			b.Reset()
			if err := b.Decode(anys); !errors.Is(err, c.want) || b.Len() != c.fit {
				t.Errorf("%+v: %d messages, %v", c.limits, b.Len(), err)
			}
		}
	}
}

func TestErrorKeepsOnlyTheBeginningOfAForeignURL(t *testing.T) {
	b := newRig(t).registry.NewBatch(anybatch.Limits{})
	err := b.Decode([]*anypb.Any{{TypeUrl: strings.Repeat("x", 1<<20)}})
	var failure *anybatch.Error
	if !errors.As(err, &failure) || len(failure.TypeURL) != 256 || len(err.Error()) > 400 {
		t.Errorf("the error has %d bytes", len(err.Error()))
	}
}

func TestRegistryRefusesWhatCannotBeMeant(t *testing.T) {
	var twice anybatch.Builder
	anybatch.Register[durationpb.Duration](&twice)
	anybatch.Register[durationpb.Duration](&twice)
	if _, err := twice.Build(); err == nil {
		t.Error("a type was registered twice")
	}
	var late anybatch.Builder
	if _, err := late.Build(); err != nil {
		t.Fatal(err)
	}
	if _, err := late.Build(); err == nil {
		t.Error("a builder built twice")
	}
	var alias anybatch.Builder
	anybatch.Register[durationpb.Duration](&alias, anybatch.AliasInput)
	if _, err := alias.Build(); err == nil || !strings.Contains(err.Error(), "UnmarshalVTUnsafe") {
		t.Errorf("AliasInput for a type that cannot: %v", err)
	}
}

func TestHandleOfAnotherRegistryPanics(t *testing.T) {
	one, other := newRig(t), newRig(t)
	defer func() {
		if recover() == nil {
			t.Error("a handle opened a batch of another registry")
		}
	}()
	one.durations.In(other.registry.NewBatch(anybatch.Limits{}))
}

func TestSteadyStateAllocatesNothing(t *testing.T) {
	r := newRig(t)
	var messages []proto.Message
	for i := range 500 {
		messages = append(messages, durationpb.New(time.Duration(i)), timestamppb.New(time.Unix(int64(i), 5)))
	}
	anys := wrap(t, messages...)
	body := fieldOf(t, anys)
	b := r.registry.NewBatch(anybatch.Limits{})
	for name, decode := range map[string]func() error{
		"Decode":      func() error { return b.Decode(anys) },
		"DecodeField": func() error { return b.DecodeField(body, 3) },
	} {
		allocs := testing.AllocsPerRun(10, func() {
			b.Reset()
			if err := decode(); err != nil {
				t.Fatal(err)
			}
			sum := int64(0)
			for _, m := range r.durations.In(b).All() {
				sum += m.Seconds
			}
			for _, ref := range b.All() {
				sum += int64(ref.Slot)
			}
			_ = sum
		})
		if allocs != 0 {
			t.Errorf("%s: %v allocations for 1,000 messages", name, allocs)
		}
	}
}
