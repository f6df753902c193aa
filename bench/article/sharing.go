package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/sheafdb/sheaf/bench/measure"
)

const aboutSharing = `Two processors that write to neighbouring words write to one cache line, and take it
from each other. Padding puts the words on lines of their own. Measured where it must
show, counters that do nothing else, and where the article has it, counters beside
the shards of a map.`

// lineBytes is twice a cache line: processors fetch lines in pairs.
const lineBytes = 128

// counters gives every goroutine the address of its own.
type counters func(goroutine int) *atomic.Uint64

// neighbours are eight to a cache line.
func neighbours(n int) counters {
	all := make([]atomic.Uint64, n)
	return func(i int) *atomic.Uint64 { return &all[i] }
}

type paddedCounter struct {
	atomic.Uint64
	_ [lineBytes - 8]byte
}

func padded(n int) counters {
	all := make([]paddedCounter, n)
	return func(i int) *atomic.Uint64 { return &all[i].Uint64 }
}

var layouts = []struct {
	name  string
	build func(n int) counters
}{{"neighbours", neighbours}, {"padded", padded}}

func runSharing(ctx context.Context, p plan, done func(*table) error) error {
	goroutines := max(2, runtime.GOMAXPROCS(0))
	t := &table{
		Title:    fmt.Sprintf("%d goroutines, each adding to a counter of its own", goroutines),
		Baseline: "neighbours", Columns: []column{{"ns an addition", 2}, {"CPU ns an addition", 2}, {"cores", 2}},
		note: func(t *table) string {
			return fmt.Sprintf("Padding is worth %.2f times on counters that are all there is. It shows only while the goroutines "+
				"run at the same time: on a busy machine they get fewer cores than they are.", t.ratio("padded"))
		},
	}
	var contestants []contestant
	for _, l := range layouts {
		contestants = append(contestants, contestant{l.name, func() ([]float64, error) {
			return hotCounters(l.build(goroutines), goroutines, p.Sizes.CounterOps)
		}})
	}
	if err := t.contest(ctx, p.Rounds, contestants); err != nil {
		return err
	}
	if err := done(t); err != nil {
		return err
	}
	for _, every := range []int{1, 1000} {
		if err := runSharedMap(ctx, p, goroutines, every, done); err != nil {
			return err
		}
	}
	return nil
}

func hotCounters(c counters, goroutines, additions int) ([]float64, error) {
	used, err := measure.During(func() error {
		return together(goroutines, func(i int) {
			counter := c(i)
			for range additions {
				counter.Add(1)
			}
		})
	})
	if err != nil {
		return nil, err
	}
	return []float64{
		float64(used.Wall.Nanoseconds()) / float64(additions),
		float64(used.CPU.Nanoseconds()) / float64(additions*goroutines),
		used.CPU.Seconds() / used.Wall.Seconds(),
	}, nil
}

// together runs work in so many goroutines and waits for all.
func together(goroutines int, work func(i int)) error {
	var wg sync.WaitGroup
	for i := range goroutines {
		wg.Go(func() { work(i) })
	}
	wg.Wait()
	return nil
}

// runSharedMap: a counter of a shard is added to at every write, or once in a batch.
func runSharedMap(ctx context.Context, p plan, goroutines, every int, done func(*table) error) error {
	how := "a counter for each write"
	if every > 1 {
		how = fmt.Sprintf("a counter for each batch of %s", measure.Thousands(float64(every)))
	}
	t := &table{
		Title: fmt.Sprintf("%d goroutines writing to a map of %s strings to int64, %s",
			goroutines, measure.Thousands(float64(p.Sizes.SharedKeys)), how),
		Baseline: "neighbours",
		Columns:  []column{{"ns a write", 0}, {"CPU ns a write", 0}, {"GC pause µs", 0}},
		note: func(t *table) string {
			return fmt.Sprintf("Padding is worth %.2f times here: a look-up among so many keys misses the cache by itself. "+
				"The pause is of one garbage collection of the map, which padding does not change.", t.ratio("padded"))
		},
	}
	var contestants []contestant
	for _, l := range layouts {
		contestants = append(contestants, contestant{l.name, func() ([]float64, error) {
			return sharedTurn(newSharedMap(p.Sizes.SharedKeys, l.build), goroutines, p.Sizes.SharedOps, every)
		}})
	}
	if err := t.contest(ctx, p.Rounds, contestants); err != nil {
		return err
	}
	return done(t)
}

// sharedMap is a map in shards, with a counter of writes for each.
type sharedMap struct {
	shards []sharedShard
	counts counters
	keys   []string
}

// sharedShard is padded in either case: the locks are not what is compared.
type sharedShard struct {
	mu     sync.Mutex
	values map[string]int64
	_      [lineBytes]byte
}

const sharedShards = 64

func newSharedMap(keys int, layout func(int) counters) *sharedMap {
	m := &sharedMap{shards: make([]sharedShard, sharedShards), counts: layout(sharedShards), keys: make([]string, keys)}
	for i := range m.shards {
		m.shards[i].values = make(map[string]int64, keys/sharedShards)
	}
	for i := range m.keys {
		m.keys[i] = "key:" + strconv.Itoa(i)
		m.shards[i%sharedShards].values[m.keys[i]] = int64(i)
	}
	return m
}

func sharedTurn(m *sharedMap, goroutines, writes, every int) ([]float64, error) {
	used, err := measure.During(func() error {
		return together(goroutines, func(g int) {
			rng := rand.New(rand.NewPCG(uint64(g), 3))
			for n := range writes {
				i := rng.IntN(len(m.keys))
				s := &m.shards[i%sharedShards]
				s.mu.Lock()
				s.values[m.keys[i]]++
				s.mu.Unlock()
				if every == 1 || n%every == every-1 {
					m.counts(i % sharedShards).Add(1)
				}
			}
		})
	})
	if err != nil {
		return nil, err
	}
	collection, err := measure.During(func() error {
		runtime.GC()
		return nil
	})
	if err != nil {
		return nil, err
	}
	runtime.KeepAlive(m)
	return []float64{
		float64(used.Wall.Nanoseconds()) / float64(writes),
		float64(used.CPU.Nanoseconds()) / float64(writes*goroutines),
		float64(collection.GCPauseTotal.Microseconds()) / float64(max(1, collection.GCs)),
	}, nil
}
