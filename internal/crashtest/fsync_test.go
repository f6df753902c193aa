package crashtest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/client"
)

// TestAFailedSyncOfTheLogEndsTheNode at whichever sync: nothing is acknowledged
// that the sync was for or that came later, the node says why it ends, and both
// what the disk has then and what the page cache has is a sound log.
func TestAFailedSyncOfTheLogEndsTheNode(t *testing.T) {
	syncs := []int{3, 4, 5, 8, 13, 21, 34, 55, 89, 144}
	if testing.Short() {
		syncs = []int{3, 21, 89}
	}
	eachStore(t, func(t *testing.T, store string) {
		t.Parallel()
		for _, n := range syncs {
			t.Run(fmt.Sprintf("sync=%d", n), func(t *testing.T) { failSync(t, store, n, newRand(t)) })
		}
	})
}

// TestAFailedSyncAtTheStartIsTold: a group that begins writes that it votes for itself.
func TestAFailedSyncAtTheStartIsTold(t *testing.T) {
	disk := prepared(t)
	cfg := settings(inMemory, "memory")
	n, err := tryNode(t, newSyncFault(disk, 2), cfg)
	if err == nil {
		_ = n.end()
		t.Fatal("it started")
	}
	if !errors.Is(err, syscall.EIO) || !strings.Contains(err.Error(), ".wal") {
		t.Errorf("it says %v", err)
	}
	startNode(t, disk, cfg).mustStop(t)
}

func failSync(t *testing.T, store string, nth int, rng *rand.Rand) {
	disk := prepared(t)
	fault := newSyncFault(disk, nth)
	cfg, h := settings(inMemory, store), newHistory()
	n := startNode(t, fault, cfg)
	tr := startTraffic(t, n.addr(), h, rng, eight)
	within(t, fault.hit, "the sync that fails")
	within(t, n.Done(), "the end of the node")
	powerLost := disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(2) * 50, RNG: rng})

	if err := n.Err(); !errors.Is(err, syscall.EIO) || !strings.Contains(err.Error(), "sync") || !strings.Contains(err.Error(), ".wal") {
		t.Errorf("the node ended with %v, want what was to be synced, and why it failed", err)
	}
	// The writers meet refusals, or would go on for ever.
	await(t, "end of the acknowledgements", func() bool {
		b := h.begin([]int{0}, 100)
		_, err := connect(t, n.addr()).PutAll(t.Context(), b.entries(), client.WithRequestID(b.id), client.WithoutRetry())
		if err == nil {
			t.Fatal("a batch was acknowledged after the log had failed")
		}
		h.fail(b, err)
		return sheaf.CodeOf(err) != sheaf.Internal
	})
	tr.stop()
	if err := n.end(); !errors.Is(err, syscall.EIO) {
		t.Errorf("Stop of a failed node returns %v", err)
	}
	for what, fs := range map[string]*vfs.MemFS{"the disk": powerLost, "the page cache": disk} {
		t.Logf("on what %s has", what)
		again := h.clone()
		n := startNode(t, fs, cfg)
		again.verify(t, n.addr(), rng)
		n.mustStop(t)
	}
}

// clone is for a second timeline: what one learns in it does not hold in another.
func (h *history) clone() *history {
	again := newHistory()
	again.groups, again.refused, again.wrong = h.groups, h.refused, h.wrong
	copies := make(map[*batch]*batch)
	for stamp, b := range h.batches {
		copied := *b
		copies[b], again.batches[stamp] = &copied, &copied
	}
	for _, b := range h.acked {
		again.acked = append(again.acked, copies[b])
	}
	for _, b := range h.unknown {
		again.unknown = append(again.unknown, copies[b])
	}
	return again
}

// TestAProcessWhoseDiskFailsEndsAndSaysWhy lets the kernel fail one fdatasync of
// a real process.
func TestAProcessWhoseDiskFailsEndsAndSaysWhy(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("strace is not installed: no way to make the kernel fail a sync")
	}
	if out, err := exec.Command(strace, "-o", "/dev/null", "true").CombinedOutput(); err != nil {
		t.Skipf("strace may not trace here: %v: %s", err, out)
	}
	eachStore(t, func(t *testing.T, store string) {
		t.Parallel()
		rng := newRand(t)
		dir, h := t.TempDir(), newHistory()
		// The first syncs are the start's and the first spare segment's. Small
		// values fill no segment, so the rest is the log's alone.
		when := strconv.Itoa(40 + rng.IntN(40))
		args := []string{"-f", "-o", "/dev/null", "-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO:when=" + when, program(t)}
		p := launch(t, strace, slices.Concat(args, serveArgs(dir, store, "--log-max-bytes", "8MiB"))...)
		t.Cleanup(func() { endTraced(p, dir) })
		p.mustBeReady(t)
		tr := startTraffic(t, p.addr, h, rng, load{writers: eight.writers, maxValueBytes: 500})
		tr.awaitAcked(t, 1)
		within(t, p.exited, "the end of the process")
		tr.stop()
		said := p.stderr.String()
		for _, word := range []string{"sync", ".wal", "input/output error", "next:"} {
			if !strings.Contains(said, word) {
				t.Errorf("the process does not say %q:\n%s", word, said)
			}
		}
		if p.code != exitDamaged {
			t.Errorf("exit code %d, want %d:\n%s", p.code, exitDamaged, said)
		}
		h.verify(t, serve(t, dir, store).addr, rng)
	})
}

// endTraced ends the node under strace, which may outlive its tracer.
func endTraced(p *process, dir string) {
	select {
	case <-p.exited:
		return
	default:
	}
	data, err := os.ReadFile(filepath.Join(dir, "PID"))
	if err != nil {
		return
	}
	if pid, err := strconv.Atoi(strings.TrimSpace(string(data))); err == nil {
		_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended by itself
	}
}
