package crashtest

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sheafdb/sheaf/internal/freeport"
)

// sheafCommand runs the program to its end.
func sheafCommand(t *testing.T, args ...string) (output string, code int) {
	t.Helper()
	cmd := exec.Command(program(t), args...)
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

func mustRun(t *testing.T, args ...string) string {
	t.Helper()
	out, code := sheafCommand(t, args...)
	if code != 0 {
		t.Fatalf("sheaf %s: exit code %d:\n%s", strings.Join(args, " "), code, out)
	}
	return out
}

const backupNodes = 3

// TestAClusterComesBackFromABackup: a cluster under load is backed up from a node that does not
// lead, lost with all its disks, restored on one node, and grown to three again.
func TestAClusterComesBackFromABackup(t *testing.T) {
	t.Parallel()
	for _, groups := range []string{"1", "3"} {
		t.Run("groups="+groups, func(t *testing.T) {
			rng := newRand(t)
			c, h := newCluster(t, backupNodes, "memory", "--groups", groups), newHistory()
			var traffics []*traffic
			for _, addr := range c.addrs[:c.nodes] {
				traffics = append(traffics, startTraffic(t, addr, h, rng, load{writers: 3, maxValueBytes: 1 << 10, throughAll: true}))
			}
			acked := h.ackedCount()
			await(t, "acknowledged batches", func() bool { return h.ackedCount() >= acked+50 })
			follower := (c.leader() + 1) % backupNodes
			file := filepath.Join(t.TempDir(), "sheaf.backup")

			// One while they write: it must be whole, and can be restored.
			least := h.versions()
			mustRun(t, "backup", "--addr", c.addrs[follower], file+".busy")
			for _, tr := range traffics {
				tr.finish()
			}
			// One when all is answered: it must have everything.
			mustRun(t, "backup", "--addr", c.addrs[follower], file)
			for i := range backupNodes {
				c.kill(i)
				if err := os.RemoveAll(c.dirs[i]); err != nil {
					t.Fatal(err)
				}
			}

			busy := filepath.Join(t.TempDir(), "busy")
			mustRun(t, "restore", file+".busy", "--data-dir", busy, "--store", "pebble")
			p := serve(t, busy, "pebble")
			for group, s := range look(t, connect(t, p.addr), h) { // which finds half batches
				if s.version < least[group] {
					t.Errorf("group %d has version %d, and %d was acknowledged before the backup", group, s.version, least[group])
				}
			}
			p.kill()

			dirs := [backupNodes]string{}
			ports := [backupNodes]string{}
			for i := range dirs {
				dirs[i], ports[i] = filepath.Join(t.TempDir(), "node"), freeport.Addr(t)
			}
			mustRun(t, "restore", file, "--data-dir", dirs[0], "--store", "memory")
			nodes := []*process{serve(t, dirs[0], "memory", "--node", "m1", "--peer-addr", ports[0])}
			h.verify(t, nodes[0].addr, rng)
			for i := 1; i < backupNodes; i++ {
				name := fmt.Sprintf("m%d", i+1)
				nodes = append(nodes, serve(t, dirs[i], "memory", "--node", name, "--peer-addr", ports[i], "--join", ports[0]))
				mustRun(t, "cluster", "add", name, "--addr", nodes[0].addr)
			}
			tr := startTraffic(t, nodes[2].addr, h, rng, load{writers: 3, maxValueBytes: 1 << 10, throughAll: true})
			acked = h.ackedCount()
			await(t, "acknowledged batches", func() bool { return h.ackedCount() >= acked+20 })
			tr.finish()
			for _, n := range nodes {
				h.verify(t, n.addr, rng)
			}
			nodes[0].kill() // what is restored is not on its disk alone any more
			h.verify(t, nodes[1].addr, rng)
		})
	}
}

// TestAKilledRestoreIsNoNode: killed at some moment, it leaves what no node starts on, and what
// the next restore begins anew; or all of it.
func TestAKilledRestoreIsNoNode(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, store string) {
		rng, h := newRand(t), newHistory()
		p := serve(t, t.TempDir(), store, "--groups", "3")
		tr := startTraffic(t, p.addr, h, rng, load{writers: 3, maxValueBytes: 16 << 10, throughAll: true})
		acked := h.ackedCount()
		await(t, "acknowledged batches", func() bool { return h.ackedCount() >= acked+100 })
		tr.finish()
		file := filepath.Join(t.TempDir(), "sheaf.backup")
		mustRun(t, "backup", "--addr", p.addr, file)
		p.kill()

		dir := filepath.Join(t.TempDir(), "restored")
		began := time.Now()
		mustRun(t, "restore", file, "--data-dir", dir, "--store", store)
		whole := time.Since(began)
		refusals := 0
		for range 10 {
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rng.Int64N(int64(whole))))
			var out bytes.Buffer
			cmd := exec.CommandContext(ctx, program(t), "restore", file, "--data-dir", dir, "--store", store) // which is killed
			cmd.Stderr = &out
			err := cmd.Run()
			cancel()
			switch _, marked := os.Stat(filepath.Join(dir, "RESTORING")); {
			case marked == nil && err == nil:
				t.Fatal("the restore says that it has ended, and its mark is there")
			case marked == nil:
				refusals++
				refused(t, dir, store, 1, "did not come to its end", "sheaf restore")
				if refusals == 1 {
					mustRun(t, "restore", file, "--data-dir", dir, "--store", store)
					checkNode(t, dir, store, h, rng)
				}
			case err != nil:
				if _, err := os.Stat(filepath.Join(dir, "NODE")); err == nil { // it had ended
					checkNode(t, dir, store, h, rng)
				}
			default:
				checkNode(t, dir, store, h, rng)
			}
		}
		if refusals == 0 {
			t.Error("no kill hit a restore at work: this run shows nothing")
		}
	})
}

func checkNode(t *testing.T, dir, store string, h *history, rng *rand.Rand) {
	t.Helper()
	p := serve(t, dir, store)
	h.verify(t, p.addr, rng)
	p.kill()
}

// versions are the newest that were acknowledged, by group.
func (h *history) versions() map[int]uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	versions := make(map[int]uint64)
	for group, b := range h.newest() {
		versions[group] = b.version
	}
	return versions
}
