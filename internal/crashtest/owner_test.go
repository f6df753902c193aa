package crashtest

import (
	"strings"
	"testing"
)

// TestASecondProcessOnADataDirectoryIsRefused, and told who has it; the first
// one does not notice.
func TestASecondProcessOnADataDirectoryIsRefused(t *testing.T) {
	eachStore(t, func(t *testing.T, store string) {
		t.Parallel()
		rng := newRand(t)
		dir, h := t.TempDir(), newHistory()
		first := serve(t, dir, store)
		tr := startTraffic(t, first.addr, h, rng, eight)
		tr.awaitAcked(t, 10)
		refused(t, dir, store, 1, "process "+first.pid(), dir, "--data-dir")
		tr.awaitAcked(t, tr.acked()+10)
		// The one that was refused must not have taken the first one's name away.
		refused(t, dir, store, 1, "process "+first.pid())
		tr.finish()
		h.verify(t, first.addr, rng)
	})
}

// TestAnOrderlyEndLeavesNothingToReplay ends a node by SIGTERM while writers are
// at work: every batch is whole, every answer true, and the next start finds all
// of it in the store.
func TestAnOrderlyEndLeavesNothingToReplay(t *testing.T) {
	eachStore(t, func(t *testing.T, store string) {
		t.Parallel()
		rng := newRand(t)
		dir, h := t.TempDir(), newHistory()
		for range 3 {
			p := serve(t, dir, store, "--log-max-bytes", "8MiB")
			tr := startTraffic(t, p.addr, h, rng, eight)
			tr.awaitAcked(t, 20+rng.IntN(100))
			if code := p.terminate(t); code != 0 {
				t.Errorf("exit code %d after SIGTERM under load:\n%s", code, p.stderr)
			}
			tr.stop()

			p = serve(t, dir, store, "--log-max-bytes", "8MiB")
			if log := p.stderr.String(); strings.Contains(log, "replay") {
				t.Errorf("a node that ended in good order replays its log:\n%s", log)
			}
			h.verify(t, p.addr, rng)
			if code := p.terminate(t); code != 0 {
				t.Errorf("exit code %d after SIGTERM at rest", code)
			}
		}
	})
}
