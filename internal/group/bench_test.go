package group

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/uuid"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/admission"
	"github.com/sheafdb/sheaf/internal/store/memory"
	"github.com/sheafdb/sheaf/internal/wal"
	"github.com/sheafdb/sheaf/internal/wire"
)

// BenchmarkPropose takes batches with request IDs through a real log and the
// memory store, cuts and flushes included; TMPDIR chooses the disk. More
// proposers share fsyncs.
func BenchmarkPropose(b *testing.B) {
	for _, proposers := range []int{1, 4} {
		b.Run(fmt.Sprintf("proposers=%d/entries=1000/value=128B", proposers), func(b *testing.B) {
			g := openOnDisk(b)
			batches := benchBatches(b)
			turns := make(chan int)
			var wg sync.WaitGroup
			for range proposers {
				wg.Go(func() {
					for n := range turns {
						cmd := batches[n%len(batches)]
						cmd.RequestID = "v7-" + uuid.Must(uuid.NewV7()).String()
						result, _, err := g.Propose(context.Background(), &cmd)
						if err != nil || result.Refused != nil || result.Replayed {
							b.Errorf("propose: %+v, %v", result, err)
						}
					}
				})
			}
			b.SetBytes(int64(len(batches[0].Entries.Raw())))
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				turns <- n
				n++
			}
			close(turns)
			wg.Wait()
			b.ReportMetric(1000*float64(b.N)/b.Elapsed().Seconds(), "keys/s")
		})
	}
}

// openOnDisk starts a group with the sizes that a node has.
func openOnDisk(b *testing.B) *Group {
	b.Helper()
	dir, limits, logger := b.TempDir(), sheaf.DefaultLimits(), slog.New(slog.DiscardHandler)
	table, err := memory.Open(memory.Config{FS: vfs.Default, Dir: filepath.Join(dir, "store")})
	if err != nil {
		b.Fatal(err)
	}
	g, err := OpenSolo(context.Background(), Config{
		Store: table, Limits: limits, LogBytes: 1 << 30, LogMostBytes: 4 << 30,
		Gate: admission.NewGate(limits.InFlightBytes),
		Room: func() error { return nil }, Free: func() int64 { return -1 }, Now: time.Now,
		Fatal:  func(err error) { panic(fmt.Sprintf("group failed: %v", err)) },
		Logger: logger,
	}, wal.Config{Dir: filepath.Join(dir, "log"), Spares: 2, Recycled: 8, Logger: logger})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := g.Close(); err != nil {
			b.Error(err)
		}
		if err := table.Close(); err != nil {
			b.Error(err)
		}
	})
	return g.Group
}

// benchBatches are 16 batches of different keys, without a request ID.
func benchBatches(b *testing.B) []wire.Command {
	b.Helper()
	batches := make([]wire.Command, 16)
	for n := range batches {
		var raw []byte
		for i := range 1000 {
			raw = wire.AppendEntry(raw, &wire.Entry{Key: fmt.Appendf(nil, "key-%028d", n*1000+i), Value: make([]byte, 128)})
		}
		entries, err := wire.ParseEntries(raw, sheaf.DefaultLimits())
		if err != nil {
			b.Fatal(err)
		}
		batches[n] = wire.Command{Kind: wire.Fast, Entries: entries, Fingerprint: wire.FingerprintOf(entries, sheaf.Linearizable)}
	}
	return batches
}
