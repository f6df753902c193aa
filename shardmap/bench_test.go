package shardmap_test

import (
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/sheafdb/sheaf/shardmap"
)

const (
	benchKeyBytes   = 32
	benchValueBytes = 128
)

// benchKey is a key that looks like an application's: the number spread over it.
func benchKey(n int) []byte {
	key := make([]byte, benchKeyBytes)
	binary.BigEndian.PutUint64(key, uint64(n)*0x9E3779B97F4A7C15)
	binary.BigEndian.PutUint64(key[24:], uint64(n))
	return key
}

// benchBatches are batches of random keys out of many.
func benchBatches(keys, entries, batches int) [][]shardmap.BytesEntry {
	rng := rand.New(rand.NewPCG(1, 2))
	all := make([][]shardmap.BytesEntry, batches)
	value := make([]byte, benchValueBytes)
	for b := range all {
		for i := range entries {
			n := i
			if keys > entries {
				n = rng.IntN(keys)
			}
			all[b] = append(all[b], shardmap.BytesEntry{Key: benchKey(n), Value: value})
		}
	}
	return all
}

// BenchmarkPutAll writes batches of 10,000 entries over keys that are there.
func BenchmarkPutAll(b *testing.B) {
	const entries = 10_000
	for _, keys := range []int{entries, 1_000_000} {
		batches := benchBatches(keys, entries, max(1, min(20, keys/entries)))
		name := func(kind string) string { return fmt.Sprintf("map=%s/keys=%d/entries=%d", kind, keys, entries) }
		b.Run(name("bytes"), func(b *testing.B) {
			m := shardmap.NewBytes()
			defer m.Close()
			for n := range keys {
				m.Put(benchKey(n), nil, make([]byte, benchValueBytes))
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				m.PutAll(batches[i%len(batches)])
			}
		})
		b.Run(name("map"), func(b *testing.B) {
			m := shardmap.New[[]byte]()
			typed := make([][]shardmap.Entry[[]byte], len(batches))
			for i, batch := range batches {
				for _, e := range batch {
					typed[i] = append(typed[i], shardmap.Entry[[]byte]{Key: string(e.Key), Value: e.Value})
				}
			}
			for n := range keys {
				m.Put(string(benchKey(n)), make([]byte, benchValueBytes))
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				m.PutAll(typed[i%len(typed)])
			}
		})
		b.Run(name("sync.Map"), func(b *testing.B) {
			var m sync.Map
			for n := range keys {
				m.Store(string(benchKey(n)), make([]byte, benchValueBytes))
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				for _, e := range batches[i%len(batches)] {
					m.Store(string(e.Key), append([]byte(nil), e.Value...))
				}
			}
		})
		b.Run(name("hash+copy"), func(b *testing.B) {
			seed := maphash.MakeSeed()
			buf := make([]byte, 0, entries*(benchKeyBytes+benchValueBytes))
			sum := uint64(0)
			for i := 0; b.Loop(); i++ {
				buf = buf[:0]
				for _, e := range batches[i%len(batches)] {
					sum += maphash.Bytes(seed, e.Key)
					buf = append(append(buf, e.Key...), e.Value...)
				}
			}
			_ = sum
		})
	}
}

// BenchmarkFill loads new keys, a thousand at a time.
func BenchmarkFill(b *testing.B) {
	const keys, entries = 1_000_000, 1000
	var batches [][]shardmap.BytesEntry
	value := make([]byte, benchValueBytes)
	for n := 0; n < keys; n += entries {
		var batch []shardmap.BytesEntry
		for i := range entries {
			batch = append(batch, shardmap.BytesEntry{Key: benchKey(n + i), Value: value})
		}
		batches = append(batches, batch)
	}
	for _, reserve := range []bool{false, true} {
		b.Run(fmt.Sprintf("map=bytes/keys=%d/reserved=%v", keys, reserve), func(b *testing.B) {
			for b.Loop() {
				m := shardmap.NewBytes()
				if reserve {
					m.Reserve(keys)
				}
				for _, batch := range batches {
					m.PutAll(batch)
				}
				if m.Len() != keys {
					b.Fatal(m.Len())
				}
				m.Close()
			}
			b.ReportMetric(float64(keys)*float64(b.N)/b.Elapsed().Seconds(), "keys/s")
		})
	}
}
