package client

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/sheafdb/sheaf"
	sheafv1 "github.com/sheafdb/sheaf/api/sheaf/v1"
	"github.com/sheafdb/sheaf/internal/wire"
)

func TestEncodingIsTheProtobufOfTheBatch(t *testing.T) {
	entries := []sheaf.Entry{
		sheaf.Put("a", "1"),
		sheaf.Put("ttl", "2").WithTTL(1500 * time.Microsecond),
		sheaf.Delete("gone"),
		sheaf.Put("new", "").OnlyIfVersion(0),
		sheaf.Put("cas", "3").OnlyIfVersion(math.MaxUint64),
		{Key: []byte("typed"), Value: []byte("4"), TypeURL: "type.googleapis.com/x.Y"},
		{Key: []byte("typed2"), Value: []byte("5"), TypeURL: "t/z"},
	}
	o := writeOptions{ttl: time.Minute, ifMatch: `"1"`, ifNoneMatch: "*"}
	o.level, o.after = sheaf.Sequential, 42
	request, tooLarge := encode("id", entries, &o)
	if tooLarge != nil {
		t.Fatal(tooLarge)
	}
	raw := *request
	var got sheafv1.PutAllRequest
	if err := proto.Unmarshal(raw, &got); err != nil {
		t.Fatal(err)
	}
	want := &sheafv1.PutAllRequest{
		RequestId: "id", Consistency: sheafv1.Consistency_CONSISTENCY_SEQUENTIAL,
		IfMatch: `"1"`, IfNoneMatch: "*", After: 42,
		Entries: []*sheafv1.Entry{
			{Key: []byte("a"), Value: []byte("1"), TtlMs: 60_000},
			{Key: []byte("ttl"), Value: []byte("2"), TtlMs: 2},
			{Key: []byte("gone"), Delete: true},
			{Key: []byte("new"), TtlMs: 60_000, IfVersion: proto.Uint64(0)},
			{Key: []byte("cas"), Value: []byte("3"), TtlMs: 60_000, IfVersion: proto.Uint64(math.MaxUint64)},
			{Key: []byte("typed"), Value: []byte("4"), TtlMs: 60_000, TypeUrl: "type.googleapis.com/x.Y"},
			{Key: []byte("typed2"), Value: []byte("5"), TtlMs: 60_000, TypeUrl: "t/z"},
		},
	}
	if diff := cmp.Diff(want, &got, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
	// Canonical: the server takes these bytes as they are, without a copy.
	decoded, err := wire.DecodePutAll(raw, sheaf.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	if view := decoded.Entries.Raw(); &view[0] != &raw[len("\x0a\x02id")] {
		t.Error("the server would encode the entries again: they are not canonical")
	}
}

func TestTTLIsRoundedAwayFromForEver(t *testing.T) {
	for d, want := range map[time.Duration]int64{
		0: 0, 1: 1, time.Millisecond: 1, time.Millisecond + 1: 2, -1: -1, -time.Millisecond - 1: -2,
		math.MaxInt64: math.MaxInt64/1_000_000 + 1,
	} {
		if got := milliseconds(d); got != want {
			t.Errorf("milliseconds(%d ns) = %d, want %d", d, got, want)
		}
	}
}

// TestEncodingABatchIsOneBuffer, which is new each time here: nobody gives it back.
func TestEncodingABatchIsOneBuffer(t *testing.T) {
	for name, entries := range map[string][]sheaf.Entry{
		"plain": batchOf(1000, sheaf.Entry{}),
		"full": batchOf(1000, sheaf.Entry{
			TypeURL: strings.Repeat("t", 200), TTL: math.MaxInt64, IfVersion: proto.Uint64(math.MaxUint64),
		}),
	} {
		// The buffer, its header, and the buffer that a type URL passes through.
		want := map[string]float64{"plain": 2, "full": 3}[name]
		got := testing.AllocsPerRun(10, func() {
			if _, err := encode("v7-01890a5d-ac96-774b-bcce-b302099a8057", entries, &writeOptions{}); err != nil {
				t.Fatal(err)
			}
		})
		if got > want {
			t.Errorf("%s: %v allocations, want %v", name, got, want)
		}
	}
}

func batchOf(n int, like sheaf.Entry) []sheaf.Entry {
	entries := make([]sheaf.Entry, n)
	for i := range entries {
		entries[i] = like
		entries[i].Key = []byte(strings.Repeat("k", 28) + string(rune('a'+i%26)))
		entries[i].Value = make([]byte, 128)
	}
	return entries
}

func BenchmarkEncode(b *testing.B) {
	entries := batchOf(1000, sheaf.Entry{})
	b.Run("entries=1000/value=128B", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			request, err := encode("v7-01890a5d-ac96-774b-bcce-b302099a8057", entries, &writeOptions{})
			if err != nil {
				b.Fatal(err)
			}
			requests.asBuffer(request).Free()
		}
	})
}
