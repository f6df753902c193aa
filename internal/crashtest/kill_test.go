package crashtest

import (
	"math/rand/v2"
	"testing"
	"time"
)

// logBounds are the log.max_bytes of the rounds, in turn: with a small log a
// kill falls into flushes, cuts and changes of segment; with a large one it
// leaves a long replay.
var logBounds = []string{"2MiB", "8MiB", "2MiB", "4MiB"}

// TestAcknowledgedBatchesSurviveKills kills a node under load, again and again
// over one data directory, every third time once more while it recovers.
func TestAcknowledgedBatchesSurviveKills(t *testing.T) {
	rounds := 20
	if testing.Short() {
		rounds = 4
	}
	eachStore(t, func(t *testing.T, store string) {
		t.Parallel()
		rng := newRand(t)
		dir, h := t.TempDir(), newHistory()
		unknown, acked := 0, 0
		for round := range rounds {
			bound := []string{"--log-max-bytes", logBounds[round%len(logBounds)]}
			p := serve(t, dir, store, bound...)
			tr := startTraffic(t, p.addr, h, rng, eight)
			tr.awaitAcked(t, 20+rng.IntN(250))
			p.kill()
			tr.stop()
			unknown += len(h.unknown)
			acked += tr.acked()

			if round%3 == 0 {
				killWhileRecovering(t, dir, store, rng, bound...)
			}
			p = serve(t, dir, store, bound...)
			h.verify(t, p.addr, rng)
			p.kill()
		}
		t.Logf("%d rounds: %d batches acknowledged, %d of unknown outcome", rounds, acked, unknown)
		if unknown == 0 {
			t.Error("no kill hit a batch in flight: this run shows nothing about unknown outcomes")
		}
	})
}

// killWhileRecovering kills a node somewhere between its start and a moment
// after it is ready.
func killWhileRecovering(t *testing.T, dir, store string, rng *rand.Rand, more ...string) {
	t.Helper()
	p := launch(t, program(t), serveArgs(dir, store, more...)...)
	select {
	case <-p.ready:
	case <-time.After(time.Duration(rng.IntN(80)) * time.Millisecond):
	}
	p.kill()
}
