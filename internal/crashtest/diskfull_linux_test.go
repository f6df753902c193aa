package crashtest

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/client"
)

// smallDisk mounts a disk of 96 MiB of its own.
func smallDisk(t *testing.T) (dir string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("mounting a small disk needs root")
	}
	dir = t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=96m"); err != nil {
		t.Skipf("cannot mount a small disk: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
	return dir
}

// fill takes bytes of the disk, or all there are, and says how many it got.
func fill(t *testing.T, name string, most int) (taken int) {
	t.Helper()
	f, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // its content means nothing
	for chunk := bytes.Repeat([]byte{1}, mib); taken < most; {
		n, err := f.Write(chunk[:min(len(chunk), most-taken)])
		taken += n
		if errors.Is(err, syscall.ENOSPC) {
			return taken
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return taken
}

// noSpaceAnswers counts the refusals that name the full disk.
func (h *history) noSpaceAnswers() (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, err := range h.refused {
		if sheaf.CodeOf(err) == sheaf.NoSpace {
			n++
		}
	}
	return n
}

// writeUntilFull adds data until the node says NO_SPACE.
func writeUntilFull(t *testing.T, addr string, h *history) {
	t.Helper()
	const most = 1000 // of 256 KiB each, far more than the disk has
	c := connect(t, addr)
	for range most {
		b := h.begin([]int{h.addGroup()}, 64<<10)
		result, err := c.PutAll(t.Context(), b.entries(), client.WithRequestID(b.id))
		if err != nil {
			if sheaf.CodeOf(err) != sheaf.NoSpace {
				t.Fatalf("a nearly full disk is answered with %v", err)
			}
			h.fail(b, err)
			return
		}
		h.acknowledge(b, result.Version)
	}
	t.Fatal("the disk never got full")
}

// TestAFullDiskRefusesWritesAndNothingElse: reads go on, also after a kill and a
// start on the full disk, and writes resume by themselves when there is room.
func TestAFullDiskRefusesWritesAndNothingElse(t *testing.T) {
	eachStore(t, func(t *testing.T, store string) {
		t.Parallel()
		rng := newRand(t)
		disk, h := smallDisk(t), newHistory()
		dir, filler := filepath.Join(disk, "node"), filepath.Join(disk, "filler")
		fill(t, filler, 50*mib)
		p := serve(t, dir, store)
		writeUntilFull(t, p.addr, h)
		if h.ackedCount() < 20 {
			t.Fatalf("only %d batches were acknowledged before the disk was full", h.ackedCount())
		}
		h.checkPresent(t, look(t, connect(t, p.addr), h))
		p.kill()

		p = serve(t, dir, store)
		h.checkPresent(t, look(t, connect(t, p.addr), h))
		tr := startTraffic(t, p.addr, h, rng, load{writers: 2, maxValueBytes: 500, throughRefusals: true})
		mustRemove(t, filler)
		tr.awaitAcked(t, 20)
		tr.finish()
		h.verify(t, p.addr, rng)
		if code := p.terminate(t); code != 0 {
			t.Errorf("exit code %d after SIGTERM", code)
		}
	})
}

// TestADiskThatIsFullAllAtOnceLosesNothing: somebody else takes every byte while
// writers are at work. The node says NO_SPACE, or ends and says why.
func TestADiskThatIsFullAllAtOnceLosesNothing(t *testing.T) {
	rounds := 3
	if testing.Short() {
		rounds = 1
	}
	eachStore(t, func(t *testing.T, store string) {
		t.Parallel()
		rng := newRand(t)
		for range rounds {
			fillAtOnce(t, store, rng)
		}
	})
}

func fillAtOnce(t *testing.T, store string, rng *rand.Rand) {
	disk, h := smallDisk(t), newHistory()
	dir, filler := filepath.Join(disk, "node"), filepath.Join(disk, "filler")
	p := serve(t, dir, store)
	tr := startTraffic(t, p.addr, h, rng, load{writers: 8, maxValueBytes: 16 << 10, throughRefusals: true})
	tr.awaitAcked(t, 20+rng.IntN(200))
	ended := func() bool {
		select {
		case <-p.exited:
			return true
		default:
			return false
		}
	}
	await(t, "refusal for want of space, or end of the node", func() bool {
		fill(t, filler, 1<<30) // again and again: the ballast goes too
		return h.noSpaceAnswers() > 20 || ended()
	})
	if ended() {
		t.Logf("the node ended:\n%s", p.stderr.brief())
		if p.code != exitDamaged || !strings.Contains(p.stderr.String(), "no space left") {
			t.Errorf("exit code %d, want %d and words about the full disk:\n%s", p.code, exitDamaged, p.stderr.brief())
		}
	} else {
		c := connect(t, p.addr)
		if _, err := c.GetAll(t.Context(), keysOf(0)); err != nil {
			t.Errorf("read on a full disk: %v", err)
		}
	}
	mustRemove(t, filler)
	if ended() {
		tr.stop()
		p = serve(t, dir, store)
		tr = startTraffic(t, p.addr, h, rng, eight)
	}
	tr.awaitAcked(t, tr.acked()+20)
	tr.finish()
	h.verify(t, p.addr, rng)
	p.kill()
	p = serve(t, dir, store)
	h.verify(t, p.addr, rng)
	p.kill()
}
