package crashtest

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/client"
	"github.com/sheafdb/sheaf/internal/store"
)

// restedStore is the data directory of a process that ended in good order: all
// is in the store, and the log has nothing that could repair it.
func restedStore(t *testing.T, store string) (dir string, h *history) {
	t.Helper()
	dir, h = t.TempDir(), newHistory()
	p := serve(t, dir, store, "--log-max-bytes", "8MiB")
	writeInTurn(t, p.addr, h, keyGroups*2, 300, oneGroup)
	if code := p.terminate(t); code != 0 {
		t.Fatalf("exit code %d:\n%s", code, p.stderr)
	}
	return dir, h
}

// storeFiles lists the files of the store that have content.
func storeFiles(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, "store"))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if info, err := entry.Info(); err == nil && info.Size() > 0 {
			names = append(names, entry.Name())
		}
	}
	return names
}

// flipsPerFile bounds how many bytes of one file are damaged, each in its turn.
const flipsPerFile = 120

// TestAFlippedBitInTheStoreIsNeverAWrongAnswer: the node refuses to start, or it
// answers CORRUPTION where the damage is and the truth elsewhere.
func TestAFlippedBitInTheStoreIsNeverAWrongAnswer(t *testing.T) {
	eachStore(t, func(t *testing.T, kind string) {
		t.Parallel()
		rng := newRand(t)
		dir, h := restedStore(t, kind)
		refusals := 0
		for _, name := range storeFiles(t, dir) {
			sound := mustRead(t, filepath.Join(dir, "store", name))
			for range min(flipsPerFile, len(sound)) {
				at := rng.Int64N(int64(len(sound)))
				fs := inMemoryCopy(t, dir)
				replace(t, fs, fs.PathJoin(inMemory, "store", name), flipped(sound, at, rng))
				if answersTrulyOrNot(t, fs, kind, h, rng) {
					continue
				}
				refusals++
				if t.Failed() {
					t.Fatalf("the damage was at byte %d of %s", at, name)
				}
			}
		}
		if refusals == 0 {
			t.Error("no damage was noticed: this run shows nothing")
		}
	})
}

// TestAMissingStoreFileIsNeverAWrongAnswer does the same with a file taken away.
func TestAMissingStoreFileIsNeverAWrongAnswer(t *testing.T) {
	eachStore(t, func(t *testing.T, kind string) {
		t.Parallel()
		rng := newRand(t)
		dir, h := restedStore(t, kind)
		for _, name := range storeFiles(t, dir) {
			fs := inMemoryCopy(t, dir)
			if err := fs.Remove(fs.PathJoin(inMemory, "store", name)); err != nil {
				t.Fatal(err)
			}
			truth := answersTrulyOrNot(t, fs, kind, h, rng)
			t.Logf("without %s: serves the truth is %v", name, truth)
			data := strings.HasSuffix(name, ".sst") || strings.HasPrefix(name, "snapshot-")
			if data && truth {
				t.Errorf("without %s the node knows everything: the log was to be empty", name)
			}
		}
	})
}

// answersTrulyOrNot starts a node and reads everything. It returns false for a
// refusal and for answers that say CORRUPTION; any other than the truth fails.
func answersTrulyOrNot(t *testing.T, fs vfs.FS, kind string, h *history, rng *rand.Rand) bool {
	t.Helper()
	n, err := tryNode(t, fs, settings(inMemory, kind))
	if err != nil {
		if !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("the refusal does not say that the store is damaged: %v", err)
		}
		return false
	}
	defer n.end() //nolint:errcheck // a damaged store may fail in its last flush
	c := connect(t, n.addr())
	whole := true
	newest := h.newest()
	for group := range keyGroups {
		values, err := c.GetAll(t.Context(), keysOf(group))
		if err != nil {
			whole = false
			if sheaf.CodeOf(err) != sheaf.Corruption {
				t.Errorf("read group %d: %v", group, err)
			}
			continue
		}
		for _, item := range values.Items {
			want := newest[group]
			if string(item.Value) != string(want.value()) || item.Version != want.version {
				t.Errorf("group %d answers %.60q with version %d, want %s with %d", group, item.Value, item.Version, want.id, want.version)
			}
		}
	}
	b := h.acked[rng.IntN(len(h.acked))]
	result, err := c.PutAll(t.Context(), b.entries(), client.WithRequestID(b.id), client.WithoutRetry())
	switch {
	case err != nil && sheaf.CodeOf(err) != sheaf.Corruption:
		t.Errorf("retry batch %s: %v", b.id, err)
	case err == nil && (!result.Replayed || result.Version != b.version):
		t.Errorf("batch %s was acknowledged with version %d, and its retry answers %+v", b.id, b.version, result)
	}
	return whole && err == nil
}

// TestALostStoreIsRefusedWhenTheLogWasCut, both after an orderly end, when the
// log has no entry left, and after a kill, when it has the later ones.
func TestALostStoreIsRefusedWhenTheLogWasCut(t *testing.T) {
	eachStore(t, func(t *testing.T, kind string) {
		t.Parallel()
		dir, _ := restedStore(t, kind)
		killed := copied(t, dir)
		p := serve(t, killed, kind, "--log-max-bytes", "8MiB")
		writeInTurn(t, p.addr, newHistory(), 3, 300, oneGroup)
		p.kill()
		for _, dir := range []string{dir, killed} {
			lost := filepath.Join(dir, "store")
			mustRemove(t, lost)
			refused(t, dir, kind, exitDamaged, "store", "log", "backup")
		}
	})
}
