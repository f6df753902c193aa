package anybatch_test

import (
	"bytes"
	"testing"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/sheafdb/sheaf/anybatch"
)

// someMessage draws a message of one of the rig's types.
func someMessage(t *rapid.T) proto.Message {
	switch rapid.IntRange(0, 2).Draw(t, "type") {
	case 0:
		return &timestamppb.Timestamp{Seconds: rapid.Int64().Draw(t, "seconds"), Nanos: rapid.Int32().Draw(t, "nanos")}
	case 1:
		return &durationpb.Duration{Seconds: rapid.Int64().Draw(t, "seconds"), Nanos: rapid.Int32().Draw(t, "nanos")}
	default:
		return someValue(t, 3)
	}
}

func someValue(t *rapid.T, depth int) *structpb.Value {
	switch rapid.IntRange(0, 3+min(depth, 2)).Draw(t, "kind") {
	case 0:
		return &structpb.Value{} // no kind at all
	case 1:
		return structpb.NewNullValue()
	case 2:
		return structpb.NewNumberValue(rapid.Float64().Draw(t, "number"))
	case 3:
		return structpb.NewStringValue(rapid.String().Draw(t, "string"))
	case 4:
		list := &structpb.ListValue{}
		for range rapid.IntRange(0, 3).Draw(t, "items") {
			list.Values = append(list.Values, someValue(t, depth-1))
		}
		return structpb.NewListValue(list)
	default:
		fields := &structpb.Struct{Fields: make(map[string]*structpb.Value)}
		for range rapid.IntRange(0, 3).Draw(t, "fields") {
			fields.Fields[rapid.String().Draw(t, "name")] = someValue(t, depth-1)
		}
		return structpb.NewStructValue(fields)
	}
}

// TestEveryWayInGivesWhatProtoGives: one batch, used again and again for every
// kind of input, always holds exactly what the plain way decodes.
func TestEveryWayInGivesWhatProtoGives(t *testing.T) {
	r := newRig(t)
	b := r.registry.NewBatch(anybatch.Limits{})
	rapid.Check(t, func(rt *rapid.T) {
		var anys []*anypb.Any
		for range rapid.IntRange(0, 80).Draw(rt, "messages") {
			anys = append(anys, wrap(t, someMessage(rt))...)
		}
		want := make([]proto.Message, len(anys))
		for i, a := range anys {
			var err error
			if want[i], err = a.UnmarshalNew(); err != nil {
				rt.Fatal(err)
			}
		}
		b.Reset()
		var err error
		switch rapid.IntRange(0, 2).Draw(rt, "way in") {
		case 0:
			err = b.Decode(anys)
		case 1:
			err = b.DecodeField(fieldOf(t, anys), 3)
		default:
			text, _ := delimited(t, anys)
			if err = anybatch.NewStream(bytes.NewReader(text)).Fill(b); len(anys) == 0 {
				err = nil // io.EOF
			}
		}
		if err != nil {
			rt.Fatal(err)
		}
		sameMessages(t, b, want...)
	})
}

// FuzzDecodeField: whatever proto takes apart, DecodeField takes apart in the same
// way, up to the first message that is not registered or broken; it never panics,
// and a batch that has failed is as good as new after Reset.
func FuzzDecodeField(f *testing.F) {
	r := newRig(f)
	again := fieldOf(f, wrap(f, durationpb.New(7)))
	f.Add(again)
	b := r.registry.NewBatch(anybatch.Limits{})
	f.Fuzz(func(t *testing.T, body []byte) {
		b.Reset()
		failure := b.DecodeField(body, 3)
		anys, ok := plainAnys(body)
		if !ok {
			// The host of a type URL is not looked at, so it need not be UTF-8.
			if failure == nil && utf8.Valid(body) {
				t.Fatal("proto refuses what DecodeField took")
			}
			return
		}
		var want []proto.Message
		for _, a := range anys {
			if _, known := r.registry.Find(a.GetTypeUrl()); !known {
				break
			}
			m, err := a.UnmarshalNew()
			if err != nil {
				break
			}
			want = append(want, m)
		}
		if (failure == nil) != (len(want) == len(anys)) {
			t.Fatalf("%d of %d messages are good, and the error is %v", len(want), len(anys), failure)
		}
		sameMessages(t, b, want...)
		b.Reset()
		if err := b.DecodeField(again, 3); err != nil {
			t.Fatal(err)
		}
		sameMessages(t, b, durationpb.New(7))
	})
}

// plainAnys takes field 3 apart with package proto: a message of which every field
// is unknown keeps them all.
func plainAnys(body []byte) ([]*anypb.Any, bool) {
	var holder anypb.Any
	// The holder's own fields 1 and 2 must not take part, so only field 3 goes in.
	var only []byte
	for rest := body; len(rest) > 0; {
		number, wireType, n := protowire.ConsumeField(rest)
		if n < 0 {
			return nil, false
		}
		if number == 3 && wireType == protowire.BytesType {
			only = append(only, rest[:n]...)
		}
		rest = rest[n:]
	}
	if err := proto.Unmarshal(only, &holder); err != nil {
		return nil, false
	}
	var anys []*anypb.Any
	for rest := []byte(holder.ProtoReflect().GetUnknown()); len(rest) > 0; {
		_, _, tag := protowire.ConsumeTag(rest)
		encoded, n := protowire.ConsumeBytes(rest[tag:])
		var a anypb.Any
		if err := proto.Unmarshal(encoded, &a); err != nil {
			return nil, false
		}
		anys, rest = append(anys, &a), rest[tag+n:]
	}
	return anys, true
}
