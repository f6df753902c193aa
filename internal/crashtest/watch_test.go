package crashtest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/client"
)

// follower is one who watches a cluster.
type follower struct {
	name string
	mu   sync.Mutex
	// events by the key that only its batch writes; versions, the last of each key.
	events   map[string]client.Event
	versions map[string]uint64
	wrong    []string
	restarts int
}

func (f *follower) complain(format string, args ...any) {
	f.wrong = append(f.wrong, f.name+": "+fmt.Sprintf(format, args...))
}

// take checks an event against those before it.
func (f *follower) take(e client.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, change := range e.Changes {
		key := string(change.Key)
		if last := f.versions[key]; e.Version <= last {
			f.complain("%s: version %d comes after %d", key, e.Version, last)
		}
		f.versions[key] = e.Version
	}
	var batch int
	if _, err := fmt.Sscanf(string(e.Changes[0].Value), "%d", &batch); err != nil {
		f.complain("an event of %q", e.Changes[0].Value)
	}
	own := fmt.Sprintf("own/%d", batch)
	if _, twice := f.events[own]; twice {
		f.complain("batch %d comes twice", batch)
	}
	for _, change := range e.Changes {
		if string(change.Value) != fmt.Sprint(batch) {
			f.complain("batch %d has a part of batch %s", batch, change.Value)
		}
	}
	f.events[own] = e
}

// missing are the batches that have not come.
func (f *follower) missing(batches map[int]uint64) (missing []int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range batches {
		if _, ok := f.events[fmt.Sprintf("own/%d", i)]; !ok {
			missing = append(missing, i)
		}
	}
	return missing
}

// watch follows with one watch after the other, each at another node and from the token of the last,
// and now and then with one that goes on by itself.
func (f *follower) watch(ctx context.Context, t *testing.T, c *testCluster, rng *rand.Rand) {
	token := ""
	for ctx.Err() == nil {
		addr := c.everybody()
		if rng.IntN(2) == 0 {
			addr = c.addrs[rng.IntN(c.nodes)]
		}
		f.restarts++
		once, cancel := context.WithTimeout(ctx, 200*time.Millisecond+rand.N(2*time.Second))
		one := connect(t, addr)
		for e, err := range one.Watch(once, client.WatchOptions{
			Token: token, Oldest: token == "", ProgressEvery: 100 * time.Millisecond, Progress: func(at string) { token = at },
		}) {
			if err != nil {
				if sheaf.CodeOf(err) == sheaf.Compacted {
					f.complain("COMPACTED, though all is kept: %v", err)
				}
				break
			}
			f.take(e)
			token = e.Token
		}
		cancel()
	}
}

// TestWatchersFollowAClusterThroughItsFaults: every acknowledged batch comes once, whole, and in the
// order of its keys' versions, to whoever goes from node to node while leaders are killed.
func TestWatchersFollowAClusterThroughItsFaults(t *testing.T) {
	c := newCluster(t, 3, "memory", "--groups", "3")
	ctx, stop := context.WithTimeout(t.Context(), 3*patience)
	defer stop()
	followers := make([]*follower, 3)
	var following sync.WaitGroup
	follow, enough := context.WithCancel(ctx)
	defer enough()
	for i := range followers {
		f := &follower{name: fmt.Sprintf("follower %d", i), events: make(map[string]client.Event), versions: make(map[string]uint64)}
		followers[i] = f
		following.Go(func() { f.watch(follow, t, c, rand.New(rand.NewPCG(uint64(i), 1))) })
	}

	acknowledged := make(map[int]uint64)
	var mu sync.Mutex
	var writing sync.WaitGroup
	var next atomic.Int64
	over := make(chan struct{})
	for range 6 {
		w := connect(t, c.everybody())
		writing.Go(func() {
			for {
				select {
				case <-over:
					return
				default:
				}
				i := int(next.Add(1))
				entries := []sheaf.Entry{sheaf.Put(fmt.Sprintf("own/%d", i), fmt.Sprint(i))}
				for k := range 1 + i%4 {
					entries = append(entries, sheaf.Put(fmt.Sprintf("shared/%d", (i+k*7)%400), fmt.Sprint(i)))
				}
				result, err := w.PutAll(ctx, entries)
				if err == nil {
					mu.Lock()
					acknowledged[i] = result.Version
					mu.Unlock()
				}
			}
		})
	}
	rng := newRand(t)
	for range 3 {
		victims := []int{c.leader(), rng.IntN(c.nodes)}
		for _, victim := range victims[:1+rng.IntN(2)] {
			c.kill(victim)
			pauseFor(rng, 300*time.Millisecond, time.Second)
			c.restart(victim)
		}
		pauseFor(rng, 500*time.Millisecond, time.Second)
	}
	close(over)
	writing.Wait()
	// Whoever is not at the end yet gets there, at nodes that are all well.
	for _, f := range followers {
		for len(f.missing(acknowledged)) > 0 && ctx.Err() == nil {
			time.Sleep(10 * time.Millisecond)
		}
	}
	enough()
	following.Wait()
	for _, f := range followers {
		for i, version := range acknowledged {
			if e, ok := f.events[fmt.Sprintf("own/%d", i)]; !ok {
				f.complain("batch %d, acknowledged at version %d, never came", i, version)
			} else if want := 2 + i%4; e.Version != version || len(e.Changes) != want {
				f.complain("batch %d came with %d changes at version %d; it has %d and was acknowledged at %d", i, len(e.Changes), e.Version, want, version)
			}
		}
		for _, what := range f.wrong[:min(len(f.wrong), 8)] {
			t.Error(what)
		}
		t.Logf("%s saw %d of %d acknowledged batches with %d watches, %d complaints", f.name, len(f.events), len(acknowledged), f.restarts, len(f.wrong))
	}
}
