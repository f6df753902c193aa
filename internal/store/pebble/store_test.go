package pebble

import (
	"fmt"
	"log/slog"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/sheafdb/sheaf/internal/store"
	"github.com/sheafdb/sheaf/internal/store/storetest"
)

func openSmall(tb testing.TB, fs vfs.FS, dir string) (store.Store, error) {
	cfg := DefaultConfig()
	cfg.FS, cfg.Dir = fs, dir
	cfg.CacheBytes, cfg.RunBytes = 1<<20, 256<<10
	cfg.Fatal = func(err error) { panic(err) }
	s, err := Open(cfg)
	if err != nil {
		return nil, err
	}
	return s, nil
}

func openFull(tb testing.TB, fs vfs.FS, dir string) (store.Store, error) {
	cfg := DefaultConfig()
	cfg.FS, cfg.Dir = fs, dir
	return Open(cfg)
}

func TestKeepsTheContract(t *testing.T) { storetest.Run(t, openSmall) }

func BenchmarkApply(b *testing.B) {
	b.Run("store=pebble", func(b *testing.B) { storetest.Benchmark(b, openFull) })
	// The same options and no store: a write batch of Set calls.
	b.Run("store=raw", func(b *testing.B) {
		for _, entries := range []int{1, 1000} {
			b.Run(fmt.Sprintf("entries=%d/value=128B", entries), func(b *testing.B) { benchmarkRaw(b, entries) })
		}
	})
}

func benchmarkRaw(b *testing.B, entries int) {
	cfg := DefaultConfig()
	cfg.Dir = b.TempDir()
	db, err := pebble.Open(cfg.Dir, (&Store{logger: slog.New(slog.DiscardHandler)}).options(cfg))
	if err != nil {
		b.Fatal(err)
	}
	storetest.BenchmarkBatches(b, entries, func(m *store.Mutations) error {
		batch := db.NewBatch()
		defer batch.Close()
		for i := range m.Ops {
			if err := batch.Set(m.Ops[i].Key, m.Ops[i].Value, nil); err != nil {
				return err
			}
		}
		return batch.Commit(pebble.NoSync)
	})
	if err := db.Close(); err != nil {
		b.Fatal(err)
	}
}
