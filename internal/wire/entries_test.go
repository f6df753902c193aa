package wire

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/sheafdb/sheaf"
	sheafv1 "github.com/sheafdb/sheaf/api/sheaf/v1"
)

var limits = sheaf.DefaultLimits()

func encode(entries ...Entry) []byte {
	var raw []byte
	for i := range entries {
		raw = AppendEntry(raw, &entries[i])
	}
	return raw
}

func put(key, value string) Entry { return Entry{Key: []byte(key), Value: []byte(value)} }

func collect(e Entries) []Entry {
	var out []Entry
	for _, entry := range e.All() {
		out = append(out, entry)
	}
	return out
}

// TestEncodingIsProtobufs holds our encoder against the generated one.
func TestEncodingIsProtobufs(t *testing.T) {
	version := uint64(300)
	want, err := proto.MarshalOptions{Deterministic: true}.Marshal(&sheafv1.PutAllRequest{
		RequestId: "r", Consistency: sheafv1.Consistency_CONSISTENCY_SEQUENTIAL, IfMatch: `"x"`, IfNoneMatch: "*", After: 77,
		Entries: []*sheafv1.Entry{
			{Key: []byte("a"), Value: []byte("1")},
			{Key: []byte("b"), Delete: true},
			{Key: []byte("c"), Value: bytes.Repeat([]byte("x"), 300), TtlMs: 60000, TypeUrl: "t/u", IfVersion: &version},
			{Key: []byte("d"), IfVersion: new(uint64)},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	raw := encode(put("a", "1"), Entry{Key: []byte("b"), Delete: true},
		Entry{Key: []byte("c"), Value: bytes.Repeat([]byte("x"), 300), TTLMS: 60000, TypeURL: []byte("t/u"), HasIfVersion: true, IfVersion: 300},
		Entry{Key: []byte("d"), HasIfVersion: true})
	got := AppendPutAll(nil, &PutAll{
		RequestID: "r", Consistency: sheaf.Sequential, IfMatch: `"x"`, IfNoneMatch: "*", After: 77,
	}, raw)
	if !bytes.Equal(got, want) {
		t.Fatalf("our encoding differs from protobuf's:\n%x\n%x", got, want)
	}
	req, err := DecodePutAll(want, limits)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(req.Entries.Raw(), raw) || req.RequestID != "r" || req.Consistency != sheaf.Sequential ||
		req.IfMatch != `"x"` || req.IfNoneMatch != "*" || req.After != 77 || req.Entries.Len() != 4 || !req.Entries.Conditional() {
		t.Errorf("decoded %+v", req)
	}
	if &req.Entries.Raw()[0] != &want[bytes.Index(want, raw)] {
		t.Error("canonical entries were copied instead of viewed")
	}
}

// TestEntriesInAnyFormBecomeCanonical scatters fields, repeats them and pads
// varints, as protobuf allows, and expects the canonical bytes.
func TestEntriesInAnyFormBecomeCanonical(t *testing.T) {
	canonical := encode(put("a", "1"), put("b", "2"))
	entry := func(fields ...[]byte) []byte {
		body := bytes.Join(fields, nil)
		return append(protowire.AppendVarint([]byte{tagEntries}, uint64(len(body))), body...)
	}
	key := func(k string) []byte { return append([]byte{tagKey, byte(len(k))}, k...) }
	value := func(v string) []byte { return append([]byte{tagValue, byte(len(v))}, v...) }
	after := protowire.AppendVarint([]byte{6 << 3}, 5)
	for name, msg := range map[string][]byte{
		"canonical":             canonical,
		"value before key":      append(entry(value("1"), key("a")), entry(key("b"), value("2"))...),
		"key given twice":       append(entry(key("z"), key("a"), value("1")), entry(key("b"), value("2"))...),
		"explicit defaults":     append(entry(key("a"), value("1"), []byte{tagDelete, 0}, []byte{tagTTLMS, 0}), entry(key("b"), value("2"))...),
		"unknown field":         append(entry(key("a"), value("1"), []byte{15 << 3, 1}), entry(key("b"), value("2"))...),
		"padded length":         append(entry(append([]byte{tagKey, 0x81, 0x00}, 'a'), value("1")), entry(key("b"), value("2"))...),
		"field between entries": bytes.Join([][]byte{entry(key("a"), value("1")), after, entry(key("b"), value("2"))}, nil),
		"padded entry tag": bytes.Join([][]byte{
			entry(key("a"), value("1")), {tagEntries | 0x80, 0x00}, entry(key("b"), value("2"))[1:],
		}, nil),
		"padded first tag": bytes.Join([][]byte{
			{tagEntries | 0x80, 0x00}, entry(key("a"), value("1"))[1:], entry(key("b"), value("2")),
		}, nil),
	} {
		t.Run(name, func(t *testing.T) {
			var std sheafv1.PutAllRequest
			if err := proto.Unmarshal(msg, &std); err != nil {
				t.Fatalf("not a valid message to begin with: %v", err)
			}
			req, err := DecodePutAll(msg, limits)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(req.Entries.Raw(), canonical) {
				t.Errorf("got %x\nwant %x", req.Entries.Raw(), canonical)
			}
		})
	}
}

func TestMalformedBatchesAreRefusedByName(t *testing.T) {
	big := limits
	big.BatchEntries, big.KeyBytes, big.ValueBytes, big.BatchBytes = 3, 8, 16, 200
	for _, tc := range []struct {
		name  string
		raw   []byte
		code  sheaf.Code
		field string
	}{
		{"empty batch", nil, sheaf.InvalidBatch, "entries"},
		{"empty key", encode(put("a", "1"), put("", "2")), sheaf.InvalidBatch, "entries[1].key"},
		{"duplicate key", encode(put("a", "1"), put("b", "2"), put("a", "3")), sheaf.InvalidBatch, "entries[2].key"},
		{"long key", encode(put("123456789", "")), sheaf.InvalidBatch, "entries[0].key"},
		{"value and delete", encode(Entry{Key: []byte("a"), Value: []byte("1"), Delete: true}), sheaf.InvalidBatch, "entries[0]"},
		{"ttl and delete", encode(Entry{Key: []byte("a"), TTLMS: 1, Delete: true}), sheaf.InvalidBatch, "entries[0]"},
		{"negative ttl", encode(Entry{Key: []byte("a"), TTLMS: -1}), sheaf.InvalidBatch, "entries[0].ttl_ms"},
		{"endless ttl", encode(Entry{Key: []byte("a"), TTLMS: 1 << 60}), sheaf.InvalidBatch, "entries[0].ttl_ms"},
		{"type_url not UTF-8", encode(Entry{Key: []byte("a"), TypeURL: []byte{0xff}}), sheaf.InvalidBatch, "entries[0]"},
		{"cut short", encode(put("a", "1"))[:4], sheaf.InvalidBatch, "entries[0]"},
		{"long value", encode(put("a", strings.Repeat("x", 17))), sheaf.BatchTooLarge, ""},
		{"many entries", encode(put("a", ""), put("b", ""), put("c", ""), put("d", "")), sheaf.BatchTooLarge, ""},
		{"many bytes", bytes.Repeat([]byte{tagEntries}, 201), sheaf.BatchTooLarge, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := ParseEntries(tc.raw, big)
			var e *sheaf.Error
			if !errors.As(err, &e) || e.Code != tc.code {
				t.Fatalf("got %v, want %s", err, tc.code)
			}
			if tc.field != "" && (len(e.Fields) != 1 || e.Fields[0].Field != tc.field) {
				t.Errorf("names %v, want %s", e.Fields, tc.field)
			}
		})
	}
}

// TestDuplicateKeysAreFoundInLargeBatches goes past every growth of the set.
func TestDuplicateKeysAreFoundInLargeBatches(t *testing.T) {
	const n = 5000
	var raw []byte
	for i := range n {
		raw = AppendEntry(raw, &Entry{Key: fmt.Appendf(nil, "key-%d", i)})
	}
	if _, err := ParseEntries(raw, limits); err != nil {
		t.Fatal(err)
	}
	again := rand.IntN(n)
	raw = AppendEntry(raw, &Entry{Key: fmt.Appendf(nil, "key-%d", again)})
	_, err := ParseEntries(raw, limits)
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("entries[%d]: a batch", again)) {
		t.Errorf("a duplicate of entry %d: got %v", again, err)
	}
}

// raceDetector is set when the tests run under it.
var raceDetector bool

func TestParsingABatchDoesNotAllocatePerEntry(t *testing.T) {
	if raceDetector {
		t.Skip("allocations are not the same under the race detector")
	}
	var raw []byte
	for i := range 1000 {
		raw = AppendEntry(raw, &Entry{Key: fmt.Appendf(nil, "key-%026d", i), Value: make([]byte, 128)})
	}
	if _, err := ParseEntries(raw, limits); err != nil { // warms the pool
		t.Fatal(err)
	}
	allocs := testing.AllocsPerRun(100, func() {
		entries, err := ParseEntries(raw, limits)
		if err != nil {
			t.Fatal(err)
		}
		var sum ETagSum
		for _, e := range entries.All() {
			sum.AddKey(e.Key, 1)
		}
		FingerprintOf(entries, sheaf.Linearizable)
	})
	// A garbage collection may empty the pool of key sets once in a while.
	if allocs > 1 {
		t.Errorf("%v allocations for a batch of 1,000 entries, want at most 1", allocs)
	}
}

func TestFingerprintCoversEntriesAndLevelButNoCondition(t *testing.T) {
	base := []Entry{put("a", "1"), put("b", "2")}
	parse := func(entries ...Entry) Entries {
		t.Helper()
		parsed, err := ParseEntries(encode(entries...), limits)
		if err != nil {
			t.Fatal(err)
		}
		return parsed
	}
	want := FingerprintOf(parse(base...), sheaf.Linearizable)
	conditional := []Entry{base[0], base[1]}
	conditional[1].HasIfVersion, conditional[1].IfVersion = true, 12345
	if got := FingerprintOf(parse(conditional...), sheaf.Linearizable); got != want {
		t.Error("if_version changed the fingerprint")
	}
	if got := FingerprintOf(parse(base...), sheaf.Sequential); got == want {
		t.Error("the level did not change the fingerprint")
	}
	for name, entries := range map[string][]Entry{
		"value": {put("a", "1"), put("b", "3")},
		"key":   {put("a", "1"), put("c", "2")},
		"ttl":   {put("a", "1"), {Key: []byte("b"), Value: []byte("2"), TTLMS: 1}},
		"type":  {put("a", "1"), {Key: []byte("b"), Value: []byte("2"), TypeURL: []byte("t")}},
		"order": {put("b", "2"), put("a", "1")},
		"split": {put("a", "1\x12"), put("b", "2")},
	} {
		if got := FingerprintOf(parse(entries...), sheaf.Linearizable); got == want {
			t.Errorf("another %s has the same fingerprint", name)
		}
	}
	if ConditionHash(parse(base...), Match{}, Match{}) != 0 {
		t.Error("no condition has a hash")
	}
	hashes := map[uint64]string{}
	star, none := Match{Set: true, Star: true}, Match{Set: true}
	tag := Match{Set: true, Tags: []ETagSum{{1, 2}}}
	for name, hash := range map[string]uint64{
		"if_match *":      ConditionHash(parse(base...), star, Match{}),
		"if_none_match *": ConditionHash(parse(base...), Match{}, star),
		"foreign":         ConditionHash(parse(base...), none, Match{}),
		"none foreign":    ConditionHash(parse(base...), Match{}, none),
		"tag":             ConditionHash(parse(base...), tag, Match{}),
		"if_version":      ConditionHash(parse(conditional...), Match{}, Match{}),
	} {
		if other, dup := hashes[hash]; dup || hash == 0 {
			t.Errorf("%s has the same hash as %s", name, other)
		}
		hashes[hash] = name
	}
}

func TestETagSumIsCommutativeAndCarries(t *testing.T) {
	var a, b ETagSum
	a.AddKey([]byte("x"), 1)
	a.AddKey([]byte("y"), 2)
	b.AddKey([]byte("y"), 2)
	b.AddKey([]byte("x"), 1)
	if a != b {
		t.Error("the order of keys changed the sum")
	}
	var other ETagSum
	other.AddKey([]byte("x"), 2)
	other.AddKey([]byte("y"), 1)
	if a == other {
		t.Error("swapped versions have the same sum")
	}
	carry := ETagSum{0, ^uint64(0)}
	carry.Add(ETagSum{0, 1})
	if carry != (ETagSum{1, 0}) {
		t.Errorf("carry got lost: %v", carry)
	}
}

func TestParseMatch(t *testing.T) {
	ours := ETagSum{1, 2}
	tag := string(ours.ETag())
	for _, tc := range []struct {
		text string
		want Match
		bad  bool
	}{
		{"", Match{}, false},
		{"*", Match{Set: true, Star: true}, false},
		{tag, Match{Set: true, Tags: []ETagSum{ours}}, false},
		{" " + tag + " , " + tag, Match{Set: true, Tags: []ETagSum{ours, ours}}, false},
		{"W/" + tag, Match{Set: true}, false},
		{`"foreign, with a comma!"`, Match{}, true}, // a space is not an etagc
		{`"foreign,with-a-comma!"`, Match{Set: true}, false},
		{`""`, Match{Set: true}, false},
		{strings.ToUpper(`"ABCDEF0123456789abcdef0123456789"`), Match{Set: true}, false},
		{strings.Trim(tag, `"`), Match{}, true},
		{`"unclosed`, Match{}, true},
		{tag + tag, Match{}, true},
		{tag + ",", Match{}, true},
		{"* , " + tag, Match{}, true},
		{"W/*", Match{}, true},
		{"\"a\x01\"", Match{}, true},
		{"   ", Match{}, true},
		{strings.Repeat(tag+",", MaxMatchTags) + tag, Match{}, true},
	} {
		got, err := ParseMatch("if_match", tc.text)
		if tc.bad != (err != nil) || !cmp.Equal(got, tc.want) {
			t.Errorf("%q: got %+v, %v", tc.text, got, err)
		}
		if err != nil && !errors.Is(err, sheaf.InvalidBatch) {
			t.Errorf("%q: error %v is not INVALID_BATCH", tc.text, err)
		}
	}
}

func TestCommandRoundTrip(t *testing.T) {
	entries, err := ParseEntries(encode(put("a", "1"), Entry{Key: []byte("b"), Delete: true, HasIfVersion: true, IfVersion: 3}), limits)
	if err != nil {
		t.Fatal(err)
	}
	for _, cmd := range []Command{
		{Kind: Tick, NowMS: 12345, RetentionMS: 600000, MaxRows: 1000000},
		{
			Kind: Fast, NowMS: 1, RetentionMS: 2, MaxRows: 3, DeadlineMS: 4, After: 5, RequestID: "id",
			Level: sheaf.Eventual, Fingerprint: FingerprintOf(entries, sheaf.Eventual),
			IfMatch:     Match{Set: true, Tags: []ETagSum{{1, 2}, {3, 4}}},
			IfNoneMatch: Match{Set: true, Star: true}, Entries: entries,
		},
	} {
		data := append(cmd.AppendHeader(nil), cmd.Entries.Raw()...)
		got, err := DecodeCommand(data)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(cmd, got, cmp.AllowUnexported(Entries{})); diff != "" {
			t.Error(diff)
		}
		for n := range data {
			if _, err := DecodeCommand(data[:n]); err == nil && cmd.Kind == Fast {
				t.Errorf("a command cut at byte %d of %d was understood", n, len(data))
			}
		}
	}
	if _, err := DecodeCommand([]byte{99, 1, 1, 1}); err == nil {
		t.Error("a command of unknown kind was understood")
	}
}

func TestRowAndRecordRoundTrip(t *testing.T) {
	row := Row{Fingerprint: Fingerprint{1, 2, 3}, Version: 9, DueMS: 1 << 40, Refused: []uint64{1, 2}}
	got, err := DecodeRow(row.Append(nil))
	if err != nil || !cmp.Equal(row, got) {
		t.Errorf("row: %+v, %v", got, err)
	}
	data := append(AppendRecordHead(nil, 7, 99, []byte("t")), "value"...)
	rec, err := DecodeRecord(data)
	if err != nil || rec.Version != 7 || rec.ExpiryMS != 99 || string(rec.TypeURL) != "t" || string(rec.Value) != "value" {
		t.Errorf("record: %+v, %v", rec, err)
	}
	if !rec.Live(98) || rec.Live(99) {
		t.Error("a record expires at its expiry, not before")
	}
}

func TestRequestIDTellsItsAge(t *testing.T) {
	at, ok := sheaf.RequestID("v7-018f2f9e-4c00-7abc-8def-0123456789ab").IssueTime()
	if want := time.UnixMilli(0x018f2f9e4c00); !ok || !at.Equal(want) {
		t.Errorf("got %v, %v, want %v", at, ok, want)
	}
	for _, opaque := range []sheaf.RequestID{
		"x", "v7-", "018f2f9e-4c00-7abc-8def-0123456789ab",
		"v7-018f2f9e-4c00-4abc-8def-0123456789ab", "v7-018f2f9e-4c00-7abc-7def-0123456789ab",
		"v7-018f2f9e-4c00-7abc-8def-0123456789a", "v7-018f2f9e04c00-7abc-8def-0123456789ab", "v7-018f2f9e-4c00-7abc-8def-01234567-9ab",
	} {
		if _, ok := opaque.IssueTime(); ok {
			t.Errorf("%q has an age", opaque)
		}
	}
}

func BenchmarkParseEntries(b *testing.B) {
	var raw []byte
	for i := range 1000 {
		raw = AppendEntry(raw, &Entry{Key: fmt.Appendf(nil, "key-%028d", i), Value: make([]byte, 128)})
	}
	b.ReportAllocs()
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		if _, err := ParseEntries(raw, limits); err != nil {
			b.Fatal(err)
		}
	}
}

func TestDividedEntriesAreAllThereInOrder(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var all []Entry
		for i := range 1 + rng.IntN(40) {
			e := put(fmt.Sprint("key", i), strings.Repeat("v", rng.IntN(300)))
			switch rng.IntN(4) {
			case 0:
				e.HasIfVersion, e.IfVersion = true, rng.Uint64()
			case 1:
				e.TTLMS = 1 + rng.Int64N(1e6)
			case 2:
				e = Entry{Key: e.Key, Delete: true}
			}
			all = append(all, e)
		}
		groups := uint64(1 + rng.IntN(5))
		numberOf := func(key []byte) uint64 { return 7 + uint64(key[len(key)-1])%groups }
		want := make(map[uint64][]Entry)
		for _, e := range all {
			want[numberOf(e.Key)] = append(want[numberOf(e.Key)], e)
		}
		before := uint64(0)
		shares := Canonical(encode(all...)).Divide(numberOf)
		for _, share := range shares {
			if share.Number <= before {
				t.Fatalf("share %d is behind %d", share.Number, before)
			}
			before = share.Number
			// Canonical counts, and looks for conditions, by itself.
			if same := Canonical(share.Entries.Raw()); share.Entries.Len() != same.Len() || share.Entries.Conditional() != same.Conditional() {
				t.Fatalf("share of %d entries, conditional %t: they are %d, %t", share.Entries.Len(), share.Entries.Conditional(), same.Len(), same.Conditional())
			}
			if got := encode(collect(share.Entries)...); !bytes.Equal(got, encode(want[share.Number]...)) {
				t.Fatalf("share %d has %q, want %q", share.Number, got, encode(want[share.Number]...))
			}
		}
		if len(shares) != len(want) {
			t.Fatalf("%d shares, want %d", len(shares), len(want))
		}
	}
}
