package anydecode

import (
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"pgregory.net/rapid"

	"github.com/sheafdb/sheaf/anybatch"
	eventsv1 "github.com/sheafdb/sheaf/bench/events/v1"
)

const messages = 10_000

func slabs(t testing.TB, options ...anybatch.Option) *Slabs {
	t.Helper()
	s, err := NewSlabs(options...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func input(t testing.TB, n int, strings bool) []byte {
	t.Helper()
	body, err := Input(n, strings)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func TestEveryWayFindsTheSameSum(t *testing.T) {
	for _, strings := range []bool{false, true} {
		body := input(t, 1000, strings)
		want, err := Plain{}.Decode(body)
		if err != nil || want == 0 {
			t.Fatal(want, err)
		}
		for _, way := range []Way{NewRegistered(), slabs(t), slabs(t, anybatch.AliasInput)} {
			for range 2 {
				if got, err := way.Decode(body); err != nil || got != want {
					t.Errorf("%T: %d, %v, want %d", way, got, err, want)
				}
			}
		}
	}
}

func TestSlabsAllocateNothingInTheSteadyState(t *testing.T) {
	for _, c := range []struct {
		way     *Slabs
		strings bool
		want    float64
	}{
		{slabs(t), false, 0},
		{slabs(t, anybatch.AliasInput), true, 0},
		{slabs(t), true, 3 * messages / 2}, // a string each
	} {
		body := input(t, messages, c.strings)
		if got := testing.AllocsPerRun(5, func() {
			if _, err := c.way.Decode(body); err != nil {
				t.Fatal(err)
			}
		}); got != c.want {
			t.Errorf("%v allocations, want %v", got, c.want)
		}
	}
}

// shapes draws a message with any of its fields set or not.
func shapes(t *rapid.T) proto.Message {
	text := rapid.String()
	bytes := rapid.SliceOfN(rapid.Byte(), 0, 20)
	photo := func() *eventsv1.PhotoAdded {
		m := &eventsv1.PhotoAdded{UserId: rapid.Uint64().Draw(t, "user")}
		if rapid.Bool().Draw(t, "thumbnail") {
			m.Thumbnail = append([]byte{}, bytes.Draw(t, "bytes")...)
		}
		return m
	}
	switch rapid.IntRange(0, 2).Draw(t, "type") {
	case 0:
		return photo()
	case 1:
		album := &eventsv1.Album{}
		for range rapid.IntRange(0, 3).Draw(t, "photos") {
			album.Photos = append(album.Photos, photo())
		}
		return album
	}
	m := &eventsv1.OrderShipped{
		OrderId: text.Draw(t, "order"), Label: bytes.Draw(t, "label"),
		BoxGrams: rapid.SliceOfN(rapid.Int32(), 0, 5).Draw(t, "grams"),
		Notes:    rapid.MapOfN(text, text, 0, 3).Draw(t, "notes"),
	}
	for range rapid.IntRange(0, 4).Draw(t, "lines") {
		m.Lines = append(m.Lines, &eventsv1.Line{
			ProductId: rapid.Uint64().Draw(t, "product"), Count: rapid.Uint32().Draw(t, "count"), Serial: bytes.Draw(t, "serial"),
		})
	}
	if rapid.Bool().Draw(t, "to") {
		m.To = &eventsv1.Address{Street: text.Draw(t, "street")}
	}
	switch rapid.IntRange(0, 2).Draw(t, "carrier") {
	case 0:
		m.Carrier = &eventsv1.OrderShipped_Courier{Courier: text.Draw(t, "courier")}
	case 1:
		m.Carrier = &eventsv1.OrderShipped_VanId{VanId: rapid.Uint64().Draw(t, "van")}
	}
	if rapid.Bool().Draw(t, "insured") {
		m.InsuredCents = new(rapid.Uint32().Draw(t, "cents"))
	}
	return m
}

// TestGeneratedCodeGivesWhatProtoGives: slots that are used again, with vtprotobuf's
// UnmarshalVT, UnmarshalVTUnsafe and ResetVT, and values of every shape.
func TestGeneratedCodeGivesWhatProtoGives(t *testing.T) {
	for name, options := range map[string][]anybatch.Option{"copied": nil, "aliased": {anybatch.AliasInput}} {
		t.Run(name, func(t *testing.T) {
			var types anybatch.Builder
			anybatch.Register[eventsv1.OrderShipped](&types, options...)
			anybatch.Register[eventsv1.PhotoAdded](&types, options...)
			anybatch.Register[eventsv1.Album](&types, options...)
			registry, err := types.Build()
			if err != nil {
				t.Fatal(err)
			}
			b := registry.NewBatch(anybatch.Limits{})
			rapid.Check(t, func(t *rapid.T) {
				var want []proto.Message
				var batch eventsv1.Batch
				for range rapid.IntRange(0, 8).Draw(t, "messages") {
					m := shapes(t)
					a, err := anypb.New(m)
					if err != nil {
						t.Fatal(err)
					}
					want, batch.Events = append(want, m), append(batch.Events, a)
				}
				body, err := proto.Marshal(&batch)
				if err != nil {
					t.Fatal(err)
				}
				b.Reset()
				if err := b.DecodeField(body, EventsField); err != nil || b.Len() != len(want) {
					t.Fatalf("%d of %d messages, %v", b.Len(), len(want), err)
				}
				for i, ref := range b.All() {
					if got := b.Message(ref); !proto.Equal(got, want[i]) {
						t.Fatalf("message %d is %v, want %v", i, got, want[i])
					}
				}
			})
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, c := range []struct {
		name    string
		way     Way
		strings bool
	}{
		{"fields=scalar/way=plain", Plain{}, false},
		{"fields=scalar/way=registered", NewRegistered(), false},
		{"fields=scalar/way=anybatch", slabs(b), false},
		{"fields=strings/way=plain", Plain{}, true},
		{"fields=strings/way=registered", NewRegistered(), true},
		{"fields=strings/way=anybatch", slabs(b), true},
		{"fields=strings/way=anybatch-alias", slabs(b, anybatch.AliasInput), true},
	} {
		body := input(b, messages, c.strings)
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.way.Decode(body); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/messages, "ns/message")
		})
	}
}
