package crashtest

import (
	"os"
	"path/filepath"
	"testing"
)

// longLog is the data directory of a process that was killed at rest with
// several segments of log, none of them cut.
func longLog(t *testing.T, store string) (dir string, h *history) {
	t.Helper()
	dir, h = t.TempDir(), newHistory()
	p := serve(t, dir, store, "--log-max-bytes", "32MiB")
	await(t, "spare segment", func() bool {
		spares, _ := filepath.Glob(filepath.Join(dir, "log", "spare-*"))
		return len(spares) > 0
	})
	writeInTurn(t, p.addr, h, 14, 60<<10, oneGroup)
	p.kill()
	if n := len(segments(t, dir)); n < 4 {
		t.Fatalf("%d segments, want at least 4", n)
	}
	return dir, h
}

// TestAMissingLogSegmentIsRefused, whichever it is, although the rest reads well.
func TestAMissingLogSegmentIsRefused(t *testing.T) {
	t.Parallel()
	dir, _ := longLog(t, "pebble")
	names := segments(t, dir)
	for what, name := range map[string]string{
		"first": names[0], "middle": names[len(names)/2], "last": names[len(names)-1],
	} {
		t.Run(what, func(t *testing.T) {
			ruined := copied(t, dir)
			missing := filepath.Join(ruined, "log", filepath.Base(name))
			mustRemove(t, missing)
			refused(t, ruined, "pebble", exitDamaged, missing, "missing", "backup")
		})
	}
	for what, gone := range map[string]string{"all segments": "log/*", "the log's directory": "log"} {
		t.Run(what, func(t *testing.T) {
			ruined := copied(t, dir)
			matches, _ := filepath.Glob(filepath.Join(ruined, gone))
			for _, name := range matches {
				mustRemove(t, name)
			}
			refused(t, ruined, "pebble", exitDamaged, filepath.Join(ruined, "log"), "missing", "backup")
		})
	}
}

// TestAShortenedLogSegmentIsRefused: the file of a segment had its full length before its
// first record, so a shorter one is no trace of a crash, wherever it ends.
func TestAShortenedLogSegmentIsRefused(t *testing.T) {
	t.Parallel()
	dir, h := t.TempDir(), newHistory()
	p := serve(t, dir, "memory", "--log-max-bytes", "2MiB")
	writeInTurn(t, p.addr, h, 3, 60<<10, oneGroup)
	p.kill()
	newest := segments(t, dir)[0]
	data := mustRead(t, newest)
	records := recordsOf(data)
	last := records[len(records)-1]
	for _, size := range []int64{0, 63, last.offset, last.offset + 1, last.end - 1, last.end, int64(writtenBytes(data)) - 1} {
		fs := inMemoryCopy(t, dir)
		replace(t, fs, fs.PathJoin(inMemory, "log", filepath.Base(newest)), data[:size])
		if _, err := tryNode(t, fs, settings(inMemory, "memory")); err == nil {
			t.Errorf("%s was cut to %d of %d bytes and the node serves", filepath.Base(newest), size, len(data))
		}
	}
}

// TestALostStoreIsRebuiltFromACompleteLog: the store is a view of the log.
func TestALostStoreIsRebuiltFromACompleteLog(t *testing.T) {
	eachStore(t, func(t *testing.T, store string) {
		t.Parallel()
		dir, h := longLog(t, store)
		mustRemove(t, filepath.Join(dir, "store"))
		p := serve(t, dir, store, "--log-max-bytes", "8MiB")
		h.verify(t, p.addr, newRand(t))
	})
}

// TestALostIdentityIsRefused: without NODE a directory looks like a new one. With
// batches in its log it is not, and to begin anew would give it another identity
// and let it be opened as another kind of store.
func TestALostIdentityIsRefused(t *testing.T) {
	eachStore(t, func(t *testing.T, store string) {
		t.Parallel()
		dir, _ := longLog(t, store)
		identity := filepath.Join(dir, "NODE")
		before := mustRead(t, identity)
		mustRemove(t, identity)
		refused(t, dir, store, exitDamaged, identity)
		if _, err := os.Stat(identity); err == nil {
			t.Errorf("the node made itself a new identity:\n%s\nit was\n%s", mustRead(t, identity), before)
		}
	})
}

// TestADamagedIdentityIsRefused: it is data of the node like any other.
func TestADamagedIdentityIsRefused(t *testing.T) {
	t.Parallel()
	dir, _ := longLog(t, "memory")
	identity := filepath.Join(dir, "NODE")
	mustWrite(t, identity, mustRead(t, identity)[:20])
	refused(t, dir, "memory", exitDamaged, identity, "backup")
}
