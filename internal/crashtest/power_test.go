package crashtest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/sheafdb/sheaf/internal/config"
	"github.com/sheafdb/sheaf/internal/node"
)

// unsyncedPercents is how much of what was written and not synced survives:
// nothing, as promised by no more than a sync; any part; all, as after a kill.
var unsyncedPercents = []int{0, 50, 100}

// TestAcknowledgedBatchesSurvivePowerLoss cuts the power under load, starts a
// node on what the disk kept, and cuts the power of some a second time.
func TestAcknowledgedBatchesSurvivePowerLoss(t *testing.T) {
	seeds := uint64(24)
	if testing.Short() {
		seeds = 6
	}
	base := rand.Uint64()
	eachStore(t, func(t *testing.T, store string) {
		t.Parallel()
		for i := range seeds {
			percent := unsyncedPercents[i%uint64(len(unsyncedPercents))]
			seed := base + i
			t.Run(fmt.Sprintf("unsynced=%d/seed=%d", percent, seed), func(t *testing.T) {
				losePower(t, store, percent, rand.New(rand.NewPCG(seed, 0)))
			})
		}
	})
}

func losePower(t *testing.T, store string, percent int, rng *rand.Rand) {
	fs := prepared(t)
	cfg := settings(inMemory, store)
	h := newHistory()
	for range 2 {
		n := startNode(t, fs, cfg)
		tr := startTraffic(t, n.addr(), h, rng, eight)
		tr.awaitAcked(t, 10+rng.IntN(160))
		moment := h.ackedCount()
		clone := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rng})
		tr.stop()
		_ = n.end() // on files that nobody will read again
		h.demote(moment)

		fs = loseAgain(clone, cfg, percent, rng)
		n = startNode(t, fs, cfg)
		h.verify(t, n.addr(), rng)
		n.mustStop(t)
	}
}

// prepared is a disk with an empty data directory that somebody made long ago.
func prepared(t *testing.T) *vfs.MemFS {
	t.Helper()
	fs := vfs.NewCrashableMem()
	if err := fs.MkdirAll(inMemory, 0o700); err != nil {
		t.Fatal(err)
	}
	for dir := fs.PathDir(inMemory); ; dir = fs.PathDir(dir) {
		f, err := fs.OpenDir(dir)
		if err == nil {
			err = errors.Join(f.Sync(), f.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
		if dir == fs.PathDir(dir) {
			return fs
		}
	}
}

// TestADirectoryThatTheNodeMadeSurvivesPowerLoss: the name of a directory is on
// disk when its parent is synced, and all of the node's names hang on that one.
func TestADirectoryThatTheNodeMadeSurvivesPowerLoss(t *testing.T) {
	eachStore(t, func(t *testing.T, store string) {
		t.Parallel()
		rng := newRand(t)
		fs, cfg, h := vfs.NewCrashableMem(), settings(inMemory, store), newHistory()
		n := startNode(t, fs, cfg)
		tr := startTraffic(t, n.addr(), h, rng, eight)
		tr.awaitAcked(t, 10)
		tr.finish()
		clone := fs.CrashClone(vfs.CrashCloneCfg{})
		_ = n.end() // on files that nobody will read again
		h.verify(t, startNode(t, clone, cfg).addr(), rng)
	})
}

// loseAgain cuts the power once more while a node recovers, at any moment from
// before its first step to after its last.
func loseAgain(fs *vfs.MemFS, cfg config.Config, percent int, rng *rand.Rand) *vfs.MemFS {
	type outcome struct {
		node *node.Node
		err  error
	}
	started := make(chan outcome, 1)
	go func() {
		n, err := node.Start(context.Background(), cfg, node.Options{FS: &lockingFS{MemFS: fs}, Logger: slog.New(slog.DiscardHandler)})
		started <- outcome{n, err}
	}()
	for range rng.IntN(1 << 14) {
		runtime.Gosched()
	}
	clone := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rng})
	// What this start came to shows again on the clone, where it is judged.
	if o := <-started; o.err == nil {
		_ = o.node.Stop(context.Background())
	}
	return clone
}

// TestTheFirstStartSurvivesPowerLoss: a directory whose very first start was cut
// short, at any moment, starts again as if nothing had been.
func TestTheFirstStartSurvivesPowerLoss(t *testing.T) {
	eachStore(t, func(t *testing.T, store string) {
		t.Parallel()
		rng := newRand(t)
		cfg := settings(inMemory, store)
		for i := range 30 {
			percent := unsyncedPercents[i%len(unsyncedPercents)]
			clone := loseAgain(vfs.NewCrashableMem(), cfg, percent, rng)
			n := startNode(t, clone, cfg)
			n.mustStop(t)
		}
	})
}
