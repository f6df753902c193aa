package wal

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// BenchmarkAppend appends one entry at a time over segments that are ready, and
// cuts behind itself, as a node in its steady state does. TMPDIR chooses the
// disk.
func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{1_000, 10_000, 160_000, 1_000_000} {
		b.Run(fmt.Sprintf("bytes=%d", size), func(b *testing.B) {
			l, err := Open(Config{Dir: b.TempDir(), Spares: 2}, nil)
			if err != nil {
				b.Fatal(err)
			}
			defer l.Close()
			awaitSpares(l, 2)
			// The first segment is a file that grows. Leave it.
			entries := []Entry{{Group: 1, Term: 1, Head: make([]byte, 40)}}
			entries[0].Body = make([]byte, size)
			fill := []Entry{{Group: 2, Term: 1, Index: 1, Body: make([]byte, defaultSegmentBytes-2000)}}
			if err := l.Append(fill, nil); err != nil {
				b.Fatal(err)
			}
			if err := l.Cut(2, 1); err != nil {
				b.Fatal(err)
			}
			awaitSpares(l, 2)
			took := make([]time.Duration, 0, 1<<16)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				entries[0].Index++
				begin := time.Now()
				if err := l.Append(entries, nil); err != nil {
					b.Fatal(err)
				}
				if len(took) < cap(took) {
					took = append(took, time.Since(begin))
				}
				if entries[0].Index%64 == 0 {
					if err := l.Cut(1, entries[0].Index); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.StopTimer()
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
		})
	}
}
