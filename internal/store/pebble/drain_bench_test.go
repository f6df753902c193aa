package pebble

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/objstorage/objstorageprovider"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/sheafdb/sheaf/internal/store"
)

// filledRun is a run of 32 MiB with random keys of 32 bytes and values of 138.
func filledRun(b *testing.B) *run {
	r := newRun(32 << 20)
	rng := rand.New(rand.NewPCG(1, 2))
	key, value := make([]byte, 32), make([]byte, 138)
	for index := uint64(1); ; index++ {
		m := &store.Mutations{Meta: store.Meta{Index: index}}
		binary.BigEndian.PutUint64(key, rng.Uint64())
		m.Set(store.Data, key, nil, value)
		if !r.fits(recordBytes(&m.Ops[0])) {
			return r
		}
		r.write(m, []uint64{hashOf(store.Data, key)})
		r.meta = m.Meta
	}
}

// BenchmarkDrain measures what moving a run costs before Pebble writes it out.
func BenchmarkDrain(b *testing.B) {
	r := filledRun(b)
	perKey := func(b *testing.B) {
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(r.count), "ns/key")
	}
	b.Run("part=sort", func(b *testing.B) {
		var s sorter
		for b.Loop() {
			s.sort(r)
		}
		perKey(b)
	})
	b.Run("part=batch", func(b *testing.B) {
		db, err := pebble.Open("d", &pebble.Options{FS: vfs.NewMem()})
		if err != nil {
			b.Fatal(err)
		}
		defer db.Close()
		s := &Store{db: db}
		var sorted sorter
		items := sorted.sort(r)
		for b.Loop() {
			batch := db.NewBatchWithSize(r.used)
			if err := s.fill(batch, r, items); err != nil {
				b.Fatal(err)
			}
			if err := batch.Close(); err != nil {
				b.Fatal(err)
			}
		}
		perKey(b)
	})
	// The two ways for a run to reach the disk, compactions off: a write batch that
	// Pebble flushes, and a table written here that Pebble only takes in.
	for way, move := range map[string]func(*pebble.DB, *run, []sortItem) error{"flush": flushRun, "ingest": ingestRun} {
		b.Run("way="+way, func(b *testing.B) {
			opts := Tuning(DefaultConfig())
			opts.DisableWAL, opts.DisableAutomaticCompactions, opts.MemTableSize = true, true, stagedMemTableBytes
			opts.L0StopWritesThreshold = 1 << 20
			opts.Logger = logger{&Store{logger: slog.New(slog.DiscardHandler)}}
			db, err := pebble.Open(b.TempDir(), opts)
			if err != nil {
				b.Fatal(err)
			}
			defer db.Close()
			var sorted sorter
			items := sorted.sort(r)
			var before, after syscall.Rusage
			_ = syscall.Getrusage(syscall.RUSAGE_SELF, &before)
			for b.Loop() {
				if err := move(db, r, items); err != nil {
					b.Fatal(err)
				}
			}
			_ = syscall.Getrusage(syscall.RUSAGE_SELF, &after)
			perKey(b)
			cpu := after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
			b.ReportMetric(float64(cpu)/float64(b.N)/float64(r.count), "cpu-ns/key")
		})
	}
}

func flushRun(db *pebble.DB, r *run, items []sortItem) error {
	batch := db.NewBatchWithSize(r.used)
	defer batch.Close()
	if err := (&Store{}).fill(batch, r, items); err != nil {
		return err
	}
	if err := batch.Commit(pebble.NoSync); err != nil {
		return err
	}
	done, err := db.AsyncFlush()
	if err == nil {
		<-done
	}
	return err
}

func ingestRun(db *pebble.DB, r *run, items []sortItem) error {
	opts := Tuning(DefaultConfig())
	opts.EnsureDefaults()
	var paths []string
	const perFile = 40000
	for len(items) > 0 {
		n := min(perFile, len(items))
		path := fmt.Sprintf("%s/run-%d.table", os.TempDir(), len(items))
		file, err := vfs.Default.Create(path, vfs.WriteCategoryUnspecified)
		if err != nil {
			return err
		}
		w := sstable.NewWriter(objstorageprovider.NewFileWritable(file), opts.MakeWriterOptions(0, db.TableFormat()))
		for _, item := range items[:n] {
			rec := r.at(item.address)
			if err := w.Set(append([]byte{byte(rec.space())}, rec.key()...), rec.value()); err != nil {
				return err
			}
		}
		if err := w.Close(); err != nil {
			return err
		}
		paths, items = append(paths, path), items[n:]
	}
	return db.Ingest(context.Background(), paths)
}
