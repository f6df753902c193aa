package wire

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"github.com/sheafdb/sheaf"
	sheafv1 "github.com/sheafdb/sheaf/api/sheaf/v1"
)

// FuzzDecodePutAll holds the in-place walk against protobuf's own decoder: what
// we accept, it accepts, and both see the same entries.
func FuzzDecodePutAll(f *testing.F) {
	f.Add(AppendPutAll(nil, &PutAll{RequestID: "r", IfMatch: "*"}, encode(put("a", "1"), put("b", "2"))))
	f.Add(encode(Entry{Key: []byte("k"), Delete: true, HasIfVersion: true}))
	f.Add([]byte{0x12, 0x03, 0x0a, 0x01, 'x', 0x30, 0x01, 0x12, 0x03, 0x0a, 0x01, 'y'})
	f.Fuzz(func(t *testing.T, msg []byte) {
		req, err := DecodePutAll(msg, limits)
		var std sheafv1.PutAllRequest
		stdErr := proto.Unmarshal(msg, &std)
		if err != nil {
			return
		}
		if stdErr != nil {
			// Protobuf also refuses text that is not UTF-8 where the message has
			// strings; the coordinator checks those.
			return
		}
		if got, want := req.Entries.Len(), len(std.Entries); got != want {
			t.Fatalf("%d entries, protobuf sees %d", got, want)
		}
		for i, e := range req.Entries.All() {
			want := std.Entries[i]
			if !bytes.Equal(e.Key, want.Key) || !bytes.Equal(e.Value, want.Value) || e.Delete != want.Delete ||
				e.TTLMS != want.TtlMs || string(e.TypeURL) != want.TypeUrl || e.HasIfVersion != (want.IfVersion != nil) || e.IfVersion != want.GetIfVersion() {
				t.Fatalf("entry %d: %+v, protobuf sees %v", i, e, want)
			}
		}
		again, err := ParseEntries(req.Entries.Raw(), limits)
		if err != nil || !bytes.Equal(again.Raw(), req.Entries.Raw()) {
			t.Fatalf("canonical entries are not stable: %v", err)
		}
		if FingerprintOf(again, req.Consistency) != FingerprintOf(req.Entries, req.Consistency) {
			t.Fatal("fingerprint is not stable")
		}
	})
}

// FuzzParseUsual holds the short way of reading an entry against the long one.
func FuzzParseUsual(f *testing.F) {
	long := bytes.Repeat([]byte("v"), 300)
	for _, e := range []Entry{put("a", "1"), put("a", ""), put("key", string(long)), put(string(long), "1"), {Key: []byte("k"), Delete: true}} {
		f.Add(appendBody(nil, &e))
	}
	f.Add([]byte{tagKey, 1, 'k', tagValue, 0x81, 0, 'v'}) // a padded length
	f.Add([]byte{tagKey, 1, 'k', tagValue, 0x80})
	f.Fuzz(func(t *testing.T, body []byte) {
		long, canonical, problem := parseEntry(body)
		var short Entry
		var ok bool
		short.Key, short.Value, ok = parseUsual(body)
		if ok && (!canonical || problem != "" || !cmp.Equal(short, long)) {
			t.Fatalf("%x: %+v; the long way %+v, canonical %v, %q", body, short, long, canonical, problem)
		}
		usual := canonical && problem == "" && !long.Delete && long.TTLMS == 0 && len(long.TypeURL) == 0 && !long.HasIfVersion
		if !ok && usual && len(long.Key) < 0x80 && len(long.Value) < 1<<14 {
			t.Fatalf("%x takes the long way: %+v", body, long)
		}
	})
}

// FuzzDecodeCommand: what decodes, encodes to something that decodes the same.
func FuzzDecodeCommand(f *testing.F) {
	entries, err := ParseEntries(encode(put("a", "1")), limits)
	if err != nil {
		f.Fatal(err)
	}
	for _, cmd := range []Command{
		{Kind: Tick, NowMS: 5},
		{Kind: Fast, NowMS: 5, RequestID: "x", IfMatch: Match{Set: true, Star: true}, Entries: entries},
		{Kind: Fast, Level: sheaf.Sequential, IfNoneMatch: Match{Set: true, Tags: []ETagSum{{1, 2}}}, Entries: entries},
	} {
		f.Add(append(cmd.AppendHeader(nil), cmd.Entries.Raw()...))
	}
	twice, err := ParseBundle(encode(put("a", "1"), put("a", "2"), Entry{Key: []byte("a"), HasIfVersion: true}), limits)
	if err != nil {
		f.Fatal(err)
	}
	bundle := Command{Kind: Bundle, NowMS: 5, RequestID: "x", After: 3, Entries: twice}
	f.Add(append(bundle.AppendHeader(nil), twice.Raw()...))
	f.Fuzz(func(t *testing.T, data []byte) {
		cmd, err := DecodeCommand(data)
		if err != nil {
			return
		}
		again, err := DecodeCommand(append(cmd.AppendHeader(nil), cmd.Entries.Raw()...))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(cmd, again, cmp.AllowUnexported(Entries{})); diff != "" {
			t.Fatal(diff)
		}
	})
}

// FuzzParseMatch: never panics, and a tag of ours is found again.
func FuzzParseMatch(f *testing.F) {
	f.Add(`"00000000000000010000000000000002"`)
	f.Add(`W/"x", "y"`)
	f.Add("*")
	f.Fuzz(func(t *testing.T, text string) {
		match, err := ParseMatch("if_match", text)
		if err != nil {
			return
		}
		for _, tag := range match.Tags {
			again, err := ParseMatch("if_match", string(tag.ETag()))
			if err != nil || !again.Has(tag) {
				t.Fatalf("%v does not find itself: %v", tag, err)
			}
		}
	})
}

// FuzzDecodePutBundle holds bundles against batches: what is a batch is a bundle too, with the
// same entries, and canonical entries are stable.
func FuzzDecodePutBundle(f *testing.F) {
	f.Add(AppendPutAll(nil, &PutAll{RequestID: "r", After: 4}, encode(put("a", "1"), put("a", "2"))))
	f.Add(AppendPutAll(nil, &PutAll{IfMatch: "*"}, encode(Entry{Key: []byte("k"), Delete: true, HasIfVersion: true})))
	f.Add([]byte{0x12, 0x03, 0x0a, 0x01, 'x', 0x30, 0x01, 0x12, 0x03, 0x0a, 0x01, 'x'})
	f.Fuzz(func(t *testing.T, msg []byte) {
		bundle, err := DecodePutBundle(msg, limits)
		batch, batchErr := DecodePutAll(msg, limits)
		if batchErr == nil {
			batch.IfMatch, batch.IfNoneMatch = "", ""
			if diff := cmp.Diff(batch, bundle, cmp.AllowUnexported(Entries{})); err != nil || diff != "" {
				t.Fatalf("%v %s", err, diff)
			}
		}
		if err != nil {
			return
		}
		again, err := ParseBundle(bundle.Entries.Raw(), limits)
		if diff := cmp.Diff(bundle.Entries, again, cmp.AllowUnexported(Entries{})); err != nil || diff != "" {
			t.Fatalf("canonical entries are not stable: %v %s", err, diff)
		}
		if bundle.Entries.Len() > 0 && BundleFingerprint(again, bundle.Consistency) == FingerprintOf(again, bundle.Consistency) {
			t.Fatal("a bundle has the fingerprint of a batch")
		}
	})
}

// FuzzDecodeStored: rows and records never panic, and a row that is read is written the same.
func FuzzDecodeStored(f *testing.F) {
	f.Add(Row{Version: 1, Refused: []uint64{1}}.Append(nil))
	f.Add(Row{Version: 1, Attempt: 3, Unfinished: [][]byte{{1}}}.Append(nil))
	f.Add(Row{Version: 1, Bundle: true, Without: Positions{1, 2}}.Append(nil))
	f.Add(append(AppendRecordHead(nil, 1, 2, []byte("t")), 'v'))
	f.Fuzz(func(t *testing.T, data []byte) {
		if row, err := DecodeRow(data); err == nil {
			if len(row.Refused) > MaxRefused {
				t.Fatal("too many refusals")
			}
			again, err := DecodeRow(row.Append(nil))
			if diff := cmp.Diff(row, again); err != nil || diff != "" {
				t.Fatalf("%v %s", err, diff)
			}
		}
		_, _ = DecodeRecord(data)
	})
}
