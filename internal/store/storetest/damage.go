package storetest

import (
	"errors"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"

	"github.com/sheafdb/sheaf/internal/store"
)

// damages is how many ways each file is damaged.
const damages = 24

// testDamage flips a bit, cuts the end off, and removes a file, one at a time.
// Whoever reads the store then gets the right data or store.ErrCorrupt.
func testDamage(t *testing.T, open Open) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	w := &workload{seed: 7, keys: 300}
	fs := vfs.NewMem()
	s := mustOpen(t, open, fs)
	for i := uint64(1); i <= 60; i++ {
		mustApply(t, s, w.entry(i))
		if i%20 == 0 {
			mustFlush(t, s, i)
		}
	}
	mustClose(t, s)
	want := w.stateAt(60)
	files := readFiles(t, fs)
	refused := 0
	for name, data := range files {
		if len(data) == 0 {
			continue
		}
		for n := range damages {
			damaged := append([]byte(nil), data...)
			what := "bit flipped"
			switch {
			case n < damages*3/4:
				damaged[rng.IntN(len(damaged))] ^= 1 << rng.IntN(8)
			case n < damages-1:
				what, damaged = "cut", damaged[:rng.IntN(len(damaged))]
			default:
				what, damaged = "removed", nil
			}
			copied := vfs.NewMem()
			writeFiles(t, copied, files, name, damaged)
			err := readDamaged(t, open, copied, want)
			switch {
			case err == nil:
			case what == "removed" && errors.Is(err, errEmpty):
				// Without its files a store is a new one. The group's log knows better.
			case errors.Is(err, store.ErrCorrupt):
				refused++
			default:
				t.Errorf("%s %s: %v", name, what, err)
			}
		}
	}
	if refused < damages/2 {
		t.Errorf("only %d cases of damage were noticed", refused)
	}
}

var errEmpty = errors.New("store is empty")

// readDamaged reads all there is; the error is the first one, or that what was
// read is wrong.
func readDamaged(t *testing.T, open Open, fs vfs.FS, want state) (err error) {
	s, err := open(t, fs, dir)
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := s.Close(); err == nil {
			err = closeErr
		}
	}()
	got, err := read(s, want)
	if err == nil {
		err = readScan(s, &got)
	}
	if err != nil {
		return err
	}
	if got.Meta == (store.Meta{}) && len(got.Keys[store.Data]) == 0 && len(got.Scan) == 0 {
		return errEmpty
	}
	if diff := cmp.Diff(want, got); diff != "" {
		return errors.New("wrong data (-want +got):\n" + diff[:min(len(diff), 500)])
	}
	return nil
}

func readFiles(t *testing.T, fs vfs.FS) map[string][]byte {
	t.Helper()
	names, err := fs.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for _, name := range names {
		f, err := fs.Open(fs.PathJoin(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		files[name], err = io.ReadAll(f)
		if err := errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// writeFiles copies files, with other contents for the one named; nil leaves it out.
func writeFiles(t *testing.T, fs vfs.FS, files map[string][]byte, name string, contents []byte) {
	t.Helper()
	if err := fs.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for file, data := range files {
		if file == name {
			data = contents
			if data == nil {
				continue
			}
		}
		f, err := fs.Create(fs.PathJoin(dir, file), vfs.WriteCategoryUnspecified)
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.Write(data)
		if err := errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
	}
}
