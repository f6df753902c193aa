package memory

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/sheafdb/sheaf/internal/store"
	"github.com/sheafdb/sheaf/internal/store/storetest"
)

func opener(kind TableKind) storetest.Open {
	return func(_ testing.TB, fs vfs.FS, dir string) (store.Store, error) {
		s, err := Open(Config{FS: fs, Dir: dir, Table: kind})
		if err != nil {
			return nil, err
		}
		return s, nil
	}
}

func TestShardedKeepsTheContract(t *testing.T) { storetest.Run(t, opener(Sharded)) }
func TestSyncMapKeepsTheContract(t *testing.T) { storetest.Run(t, opener(SyncMap)) }

func BenchmarkApply(b *testing.B) {
	b.Run("store=memory", func(b *testing.B) { storetest.Benchmark(b, opener(Sharded)) })
	b.Run("store=syncmap", func(b *testing.B) { storetest.Benchmark(b, opener(SyncMap)) })
}
