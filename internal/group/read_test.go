package group

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sheafdb/sheaf"
)

// waitingReads are those in the loop and in the core.
func (g *Group) waitingReads(t *testing.T) (loop, core int) {
	t.Helper()
	answer := make(chan [2]int, 1)
	n, err := askLoop(t.Context(), g, answer, func() { answer <- [2]int{len(g.loop.readers), g.loop.core.Reads()} })
	if err != nil {
		t.Fatal(err)
	}
	return n[0], n[1]
}

// TestReadsWhoseCallersAreGoneAreForgotten: nobody leads who could release them.
func TestReadsWhoseCallersAreGoneAreForgotten(t *testing.T) {
	tr := newTrio(t, "memory", 1<<20)
	tr.put("a", "1")
	g := tr.members[0].group()
	tr.isolate(tr.members[0], true)
	waitUntil(t, "there is no leader", func() bool { return g.Leader() == 0 })
	const count = 5 * sweepReads
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range count {
		wg.Go(func() {
			if err := g.Current(ctx); !errors.Is(err, sheaf.NotProposed) {
				t.Errorf("a read without a leader: %v", err)
			}
		})
	}
	waitUntil(t, "all of them wait", func() bool { n, _ := g.waitingReads(t); return n == count })
	cancel()
	wg.Wait()
	waitUntil(t, "they are forgotten", func() bool {
		loop, core := g.waitingReads(t)
		return loop == 0 && core <= sweepReads
	})
	tr.isolate(tr.members[0], false)
	tr.members[0].mustHave("a", "1")
}

// TestAReadWithoutALeaderSaysSoInTime: before the caller's time is over, and after confirmTime at
// the latest.
func TestAReadWithoutALeaderSaysSoInTime(t *testing.T) {
	tr := newTrio(t, "memory", 1<<20)
	tr.put("a", "1")
	g := tr.members[0].group()
	tr.isolate(tr.members[0], true)
	waitUntil(t, "there is no leader", func() bool { return g.Leader() == 0 })
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	err := g.Current(ctx)
	if !errors.Is(err, sheaf.NotLeader) || ctx.Err() != nil || sheaf.AsError(err).RetryAfter != leaderRetry {
		t.Errorf("with a second left: %v, %v", err, ctx.Err())
	}
	if err := g.Current(t.Context()); !errors.Is(err, sheaf.NotLeader) || !strings.Contains(err.Error(), "within 5s") {
		t.Errorf("without a deadline: %v", err)
	}
	waitUntil(t, "they are forgotten", func() bool {
		loop, _ := g.waitingReads(t)
		return loop == 0
	})
}

func TestTimeIsLeftForTheAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for left, want := range map[time.Duration]time.Duration{
			time.Hour: confirmTime, 5 * time.Second: 4750 * time.Millisecond, 400 * time.Millisecond: 300 * time.Millisecond,
		} {
			ctx, cancel := context.WithTimeout(t.Context(), left)
			defer cancel()
			if got := InTime(ctx, confirmTime); got != want {
				t.Errorf("of %v left: %v, want %v", left, got, want)
			}
		}
	})
}

func TestOneReadTooManyIsRefused(t *testing.T) {
	tr := newTrio(t, "memory", 1<<20)
	g := tr.members[0].group()
	g.reading.Add(maxReaders)
	if err := g.Current(t.Context()); !errors.Is(err, sheaf.RateLimited) {
		t.Errorf("%v", err)
	}
	g.reading.Add(-maxReaders)
	tr.members[0].mustHave("a", "")
}
