package wire

import (
	"fmt"
	"testing"

	"github.com/sheafdb/sheaf"
)

// benchEntries is the batch that every room measures: 1,000 entries of 32+128
// bytes. Conditional ones ask for a version each.
func benchEntries(b *testing.B, conditional bool) Entries {
	b.Helper()
	var raw []byte
	value := make([]byte, 128)
	for i := range 1000 {
		raw = AppendEntry(raw, &Entry{
			Key: fmt.Appendf(nil, "key-%028d", i), Value: value, HasIfVersion: conditional, IfVersion: uint64(i),
		})
	}
	entries, err := ParseEntries(raw, limits)
	if err != nil {
		b.Fatal(err)
	}
	return entries
}

const benchName = "entries=1000/value=128B"

func BenchmarkDecodePutAll(b *testing.B) {
	b.Run(benchName, func(b *testing.B) {
		msg := AppendPutAll(nil, &PutAll{RequestID: "v7-01890a5d-ac96-774b-bcce-b302099a8057"}, benchEntries(b, false).Raw())
		b.SetBytes(int64(len(msg)))
		b.ReportAllocs()
		for b.Loop() {
			if req, err := DecodePutAll(msg, limits); err != nil || req.Entries.Len() != 1000 {
				b.Fatal(req.Entries.Len(), err)
			}
		}
	})
}

// BenchmarkWalk is what apply and every other reader of admitted entries pays.
func BenchmarkWalk(b *testing.B) {
	b.Run(benchName, func(b *testing.B) {
		entries := benchEntries(b, false)
		b.SetBytes(int64(len(entries.Raw())))
		b.ReportAllocs()
		for b.Loop() {
			size := 0
			for _, entry := range entries.All() {
				size += len(entry.Key) + len(entry.Value)
			}
			if size != 160_000 {
				b.Fatal(size)
			}
		}
	})
}

func BenchmarkFingerprintOf(b *testing.B) {
	for _, conditional := range []bool{false, true} {
		b.Run(fmt.Sprintf("%s/conditional=%v", benchName, conditional), func(b *testing.B) {
			entries := benchEntries(b, conditional)
			b.SetBytes(int64(len(entries.Raw())))
			b.ReportAllocs()
			for b.Loop() {
				if FingerprintOf(entries, sheaf.Linearizable) == (Fingerprint{}) {
					b.Fatal("the fingerprint is zero")
				}
			}
		})
	}
}

// BenchmarkETag sums the keys' digests and makes the text that callers see; the
// walk over the entries is in BenchmarkWalk.
func BenchmarkETag(b *testing.B) {
	b.Run("keys=1000", func(b *testing.B) {
		entries := collect(benchEntries(b, false))
		b.ReportAllocs()
		for b.Loop() {
			var sum ETagSum
			for i := range entries {
				sum.AddKey(entries[i].Key, 7)
			}
			if len(sum.ETag()) != 34 {
				b.Fatal(sum.ETag())
			}
		}
	})
}

// BenchmarkDecodeCommand is what a replay of the log pays before apply.
func BenchmarkDecodeCommand(b *testing.B) {
	b.Run(benchName, func(b *testing.B) {
		cmd := Command{Kind: Fast, NowMS: 1, RequestID: "v7-01890a5d-ac96-774b-bcce-b302099a8057", Entries: benchEntries(b, false)}
		data := append(cmd.AppendHeader(nil), cmd.Entries.Raw()...)
		b.SetBytes(int64(len(data)))
		b.ReportAllocs()
		for b.Loop() {
			if got, err := DecodeCommand(data); err != nil || got.Entries.Len() != 1000 {
				b.Fatal(got.Entries.Len(), err)
			}
		}
	})
}
