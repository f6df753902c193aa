package cli

import (
	"context"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sheafdb/sheaf"
)

func TestABatchOfTheBenchNamesEachKeyOnce(t *testing.T) {
	load := newWorkload(50, 50, 32, 8)
	entries := load.buffer()
	load.fill(entries, rand.New(rand.NewPCG(1, 1)))
	seen := make(map[string]bool)
	for _, e := range entries {
		if key := string(e.Key); seen[key] || len(key) != 32 || !strings.HasPrefix(key, "bench/") || len(e.Value) != 8 {
			t.Errorf("key %q (seen %v), value of %d bytes", key, seen[key], len(e.Value))
		}
		seen[string(e.Key)] = true
	}
}

// A node that stalls once, for a second: what a closed loop sees of it, and what
// the callers of an open loop would have seen.
func TestOpenLoopCountsTheWaitOfEveryBatchThatAStallHeldUp(t *testing.T) {
	p90 := func(interval time.Duration) (latency float64, batches int) {
		synctest.Test(t, func(t *testing.T) {
			var stall sync.Once
			b := bench{
				callers: 1, duration: 2 * time.Second, interval: interval, load: newWorkload(10, 1, 22, 1),
				write: func(context.Context, []sheaf.Entry) (int, error) {
					<-time.After(time.Millisecond)
					stall.Do(func() { <-time.After(time.Second) })
					return 1, nil
				},
			}
			r, err := b.run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			latency, batches = r.LatencyMS.P90, r.Batches
		})
		return latency, batches
	}
	if latency, _ := p90(0); latency > 2 {
		t.Errorf("closed loop: p90 is %.1f ms, want the 1 ms that almost all batches took", latency)
	}
	// 100 batches were due in that second, the rest of 200 came on time.
	latency, batches := p90(10 * time.Millisecond)
	if latency < 500 || batches != 200 {
		t.Errorf("open loop: p90 of %d batches is %.1f ms, want 200 and most of the stall", batches, latency)
	}
}

func TestOpenLoopTellsWhatItCouldNotSend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bench{
			callers: 2, duration: time.Second, interval: 10 * time.Millisecond, load: newWorkload(10, 1, 22, 1),
			write: func(context.Context, []sheaf.Entry) (int, error) {
				<-time.After(100 * time.Millisecond)
				return 1, nil
			},
		}
		r, err := b.run(t.Context())
		if err != nil || r.Batches+r.Late != 100 || r.Late < 75 {
			t.Errorf("%d batches and %d late of 100, error %v", r.Batches, r.Late, err)
		}
	})
}

func TestBenchCountsErrorsByReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bench{
			callers: 1, duration: 10 * time.Millisecond, load: newWorkload(10, 1, 22, 1),
			write: func(context.Context, []sheaf.Entry) (int, error) {
				<-time.After(time.Millisecond)
				return 1, &sheaf.Error{Code: sheaf.RateLimited}
			},
		}
		r, err := b.run(t.Context())
		if err == nil || r.Batches != 0 || r.Errors[sheaf.RateLimited] != 10 {
			t.Errorf("report %+v, error %v", r, err)
		}
	})
}
