package memory

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"

	"github.com/sheafdb/sheaf/internal/store"
)

func openAt(tb testing.TB, fs vfs.FS) *Store {
	tb.Helper()
	s, err := Open(Config{FS: fs, Dir: "d"})
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// flushed makes a store with two keys and a snapshot at each index.
func flushed(tb testing.TB, fs vfs.FS, indexes ...uint64) {
	tb.Helper()
	s := openAt(tb, fs)
	for _, index := range indexes {
		m := &store.Mutations{Meta: store.Meta{Index: index}}
		m.Set(store.Data, []byte("a"), nil, fmt.Append(nil, index))
		m.Set(store.Data, []byte("b"), []byte("head"), []byte("value"))
		if err := s.Apply(m); err != nil {
			tb.Fatal(err)
		}
		if _, err := s.Flush(); err != nil {
			tb.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		tb.Fatal(err)
	}
}

func writeFile(tb testing.TB, fs vfs.FS, name string, data []byte) {
	tb.Helper()
	f, err := fs.Create("d/"+name, vfs.WriteCategoryUnspecified)
	if err != nil {
		tb.Fatal(err)
	}
	_, err = f.Write(data)
	if err := errors.Join(err, f.Close()); err != nil {
		tb.Fatal(err)
	}
}

func fileNames(tb testing.TB, fs vfs.FS) []string {
	tb.Helper()
	names, err := fs.List("d")
	if err != nil {
		tb.Fatal(err)
	}
	slices.Sort(names)
	return names
}

func TestOnlyTheNewestSnapshotIsKept(t *testing.T) {
	fs := vfs.NewMem()
	flushed(t, fs, 3, 9, 4096)
	want := []string{lockName, "snapshot-0000000000001000"}
	if diff := cmp.Diff(want, fileNames(t, fs)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	// What a crash can leave behind: a half file, and an older snapshot.
	writeFile(t, fs, "snapshot-0000000000002000.tmp", []byte("half"))
	writeFile(t, fs, "snapshot-0000000000000009", []byte("old"))
	s := openAt(t, fs)
	if s.Durable() != 4096 {
		t.Errorf("Durable() = %d", s.Durable())
	}
	if diff := cmp.Diff(want, fileNames(t, fs)); diff != "" {
		t.Errorf("files after opening (-want +got):\n%s", diff)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// TestDamagedSnapshotIsRefused: not passed over for an older one, nor removed.
func TestDamagedSnapshotIsRefused(t *testing.T) {
	fs := vfs.NewMem()
	flushed(t, fs, 5)
	good, err := fs.UnsafeGetFileDataBuffer("d/snapshot-0000000000000005")
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func([]byte) []byte{
		"empty":              func([]byte) []byte { return nil },
		"newer version":      func(d []byte) []byte { d[len(magic)]++; return d },
		"other file":         func(d []byte) []byte { d[0]++; return d },
		"no end":             func(d []byte) []byte { return d[:len(d)-blockHeadBytes-8-sumBytes] },
		"bytes after":        func(d []byte) []byte { return append(d, 0) },
		"a file of entry 5":  func(d []byte) []byte { return d },
		"giant block":        func(d []byte) []byte { binary.LittleEndian.PutUint32(d[preambleBytes+1:], 1<<31); return d },
		"block beyond file":  func(d []byte) []byte { d[preambleBytes+3]++; return d },
		"block left out":     func(d []byte) []byte { return slices.Delete(d, 73+preambleBytes-8, len(d)-17) },
		"value changed":      func(d []byte) []byte { d[len(d)-25]++; return d },
		"repeated last part": func(d []byte) []byte { return append(d, d[len(d)-17:]...) },
	} {
		writeFile(t, fs, "snapshot-0000000000000009", change(slices.Clone(good)))
		s, err := Open(Config{FS: fs, Dir: "d"})
		if err == nil {
			t.Errorf("%s: opened at %d", name, s.Durable())
			_ = s.Close()
			continue
		}
		if !errors.Is(err, store.ErrCorrupt) || !strings.Contains(err.Error(), "d/snapshot-0000000000000009: ") {
			t.Errorf("%s: %v", name, err)
		}
		if len(fileNames(t, fs)) != 3 {
			t.Errorf("%s: files %q", name, fileNames(t, fs))
		}
	}
}

func TestSecondOpenIsLockedOut(t *testing.T) {
	fs := vfs.NewMem()
	s := openAt(t, fs)
	if _, err := Open(Config{FS: fs, Dir: "d"}); err == nil || errors.Is(err, store.ErrCorrupt) {
		t.Errorf("second open: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// TestAnImageIsOneInstant: what is applied after an image was taken is not in it.
func TestAnImageIsOneInstant(t *testing.T) {
	for _, kind := range []TableKind{Sharded, SyncMap} {
		s, err := Open(Config{FS: vfs.NewMem(), Dir: "d", Table: kind})
		if err != nil {
			t.Fatal(err)
		}
		apply := func(index uint64, value string) {
			m := &store.Mutations{Meta: store.Meta{Index: index}}
			m.Set(store.Data, []byte("k"), nil, []byte(value))
			m.Set(store.Data, []byte(value), nil, nil)
			if err := s.Apply(m); err != nil {
				t.Fatal(err)
			}
		}
		apply(1, "first")
		img, err := s.freeze()
		if err != nil {
			t.Fatal(err)
		}
		apply(2, "other") // of the same length: in place, were there no image
		apply(3, "of another length")
		got := map[string]string{}
		data := img.tables[tableIndex(store.Data)]
		for part := range data.parts() {
			_ = data.walk(part, func(key, value []byte) error {
				got[string(key)] = string(value)
				return nil
			})
		}
		img.close()
		if diff := cmp.Diff(map[string]string{"k": "first", "first": ""}, got); diff != "" || img.meta.Index != 1 || img.keys != 2 {
			t.Errorf("%v: at log entry %d (-want +got):\n%s", kind, img.meta.Index, diff)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if _, err := s.Flush(); !errors.Is(err, errClosed) {
			t.Errorf("flush after close: %v", err)
		}
	}
}

func TestConfigIsValidated(t *testing.T) {
	for name, cfg := range map[string]Config{
		"no FS":         {Dir: "d"},
		"no Dir":        DefaultConfig(),
		"unknown table": {FS: vfs.NewMem(), Dir: "d", Table: 7},
	} {
		if _, err := Open(cfg); err == nil {
			t.Errorf("%s: opened", name)
		}
	}
}

// BenchmarkOpen loads a million records of 32 + 138 bytes.
func BenchmarkOpen(b *testing.B) {
	for _, kind := range []TableKind{Sharded, SyncMap} {
		b.Run("store="+kind.String()+"/keys=1000000", func(b *testing.B) {
			cfg := Config{FS: vfs.Default, Dir: b.TempDir(), Table: kind}
			s, err := Open(cfg)
			if err != nil {
				b.Fatal(err)
			}
			for index := uint64(1); index <= 1000; index++ {
				m := &store.Mutations{Meta: store.Meta{Index: index}}
				for i := range 1000 {
					m.Set(store.Data, fmt.Appendf(nil, "%032d", index*1000+uint64(i)), make([]byte, 10), make([]byte, 128))
				}
				if err := s.Apply(m); err != nil {
					b.Fatal(err)
				}
			}
			if _, err := s.Flush(); err != nil {
				b.Fatal(err)
			}
			if err := s.Close(); err != nil {
				b.Fatal(err)
			}
			s = nil
			for b.Loop() {
				s, err := Open(cfg)
				if err != nil {
					b.Fatal(err)
				}
				if err := s.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
