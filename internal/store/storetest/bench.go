package storetest

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/sheafdb/sheaf/internal/store"
)

const (
	keyBytes   = 32
	headBytes  = 10 // of a record: version, expiry, no type URL
	valueBytes = 128
	// benchKeys is how many keys the batches go over: a million records.
	benchKeys = 1 << 20
)

// Benchmark measures Apply on a real disk. It reports keys per second.
func Benchmark(b *testing.B, open Open) {
	for _, entries := range []int{1, 1000} {
		b.Run(fmt.Sprintf("entries=%d/value=%dB", entries, valueBytes), func(b *testing.B) {
			s, err := open(b, vfs.Default, b.TempDir())
			if err != nil {
				b.Fatal(err)
			}
			BenchmarkBatches(b, entries, s.Apply)
			if err := s.Close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// BenchmarkBatches calls apply with batches of random keys, the same for every
// store. Pebble's own write batch is measured with it too.
func BenchmarkBatches(b *testing.B, entries int, apply func(*store.Mutations) error) {
	m := &store.Mutations{}
	keys, head, value := make([]byte, entries*keyBytes), make([]byte, headBytes), make([]byte, valueBytes)
	for i := range value {
		value[i] = byte(i * 7)
	}
	number := uint64(0)
	b.ReportAllocs()
	for b.Loop() {
		m.Reset()
		m.Meta.Index++
		for i := range entries {
			number++
			key := keys[i*keyBytes:][:keyBytes]
			// An odd factor: all keys once before one comes again, in random order.
			binary.BigEndian.PutUint64(key, number*0x9E3779B97F4A7C15%benchKeys*0x9E3779B97F4A7C15)
			binary.LittleEndian.PutUint64(value, number)
			m.Set(store.Data, key, head, value)
		}
		if err := apply(m); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(entries)*float64(b.N)/b.Elapsed().Seconds(), "keys/s")
}
