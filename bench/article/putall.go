package main

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"

	"github.com/sheafdb/sheaf/bench/measure"
)

const aboutPutAll = `Batches are put into a map: 32-byte keys, 128-byte values, and the map keeps copies,
since the bytes are a request's. Each map is built anew for its turn, so that garbage
collections only see its own memory. Allocations, GCs and their pauses are for each
batch; the time of one is that of all, divided by their number.`

// articleRatio is what the article says sharding is worth.
const articleRatio = 4.2

const (
	keyBytes   = 32
	valueBytes = 128
)

// putCase is one table.
type putCase struct {
	keys    int  // in the map before
	fresh   bool // the batch's keys are new ones
	batches int
	writers int // goroutines that share the batches
}

func (c putCase) title(entries int) string {
	kind := "keys that are there"
	if c.fresh {
		kind = "fresh keys"
	}
	where := "into an empty map each time"
	if c.keys > 0 {
		where = "in a map of " + measure.Thousands(float64(c.keys))
	}
	who := "1 writer"
	if c.writers > 1 {
		who = fmt.Sprintf("%d writers", c.writers)
	}
	return fmt.Sprintf("%s entries, %s, %s, %s", measure.Thousands(float64(entries)), kind, where, who)
}

func runPutAll(ctx context.Context, p plan, done func(*table) error) error {
	s := p.Sizes
	for _, c := range []putCase{
		{s.FewKeys, false, s.FewBatches, 1},
		{s.FewKeys, false, s.FewBatches, 2},
		{0, true, s.FewBatches, 1},
		{s.ManyKeys, false, s.ManyBatches, 1},
		{s.ManyKeys, true, s.ManyBatches, 1},
	} {
		t := &table{Title: c.title(s.BatchEntries), Baseline: "sync.Map", note: notePutAll, Columns: []column{
			{"ms a batch", 2},
			{"CPU ms", 2},
			{"ns an entry", 0},
			{"allocations", 0},
			{"bytes", 0},
			{"GCs", 2},
			{"GC pause µs", 1},
		}}
		load := newLoad(c, s.BatchEntries)
		var contestants []contestant
		for _, k := range keepers {
			if k.name == noMap && c.writers > 1 {
				continue // it remembers one batch, and with two writers no last one
			}
			contestants = append(contestants, contestant{k.name, func() ([]float64, error) {
				return c.turn(load, k.build)
			}})
		}
		if err := t.contest(ctx, p.Rounds, contestants); err != nil {
			return err
		}
		if err := done(t); err != nil {
			return err
		}
	}
	return nil
}

func notePutAll(t *table) string {
	return fmt.Sprintf("The article has sharding %.1f times faster than `sync.Map`. Here it is %.2f times, and one map under one lock "+
		"is %.2f times. `sync.Map` pays for five allocations an entry, any Go map for two; the slices that are made for "+
		"every batch come on top, and have to be won back by the shards. What wins is to hash first, sort by shard by counting, "+
		"and copy into arenas without pointers: `shardmap.Bytes` is %.1f times faster than `sync.Map`, %.1f times than "+
		"xsync, and takes %.1f times as long as hashing and copying alone.",
		articleRatio, t.ratio(articleSharded), t.ratio("map + RWMutex"),
		t.ratio(ourBytesName), t.ratio(ourBytesName)/t.ratio("xsync.Map"), t.ratio(noMap)/t.ratio(ourBytesName))
}

// turn puts batches and returns the numbers of one.
func (c putCase) turn(load *load, build func(hint int) keeper) ([]float64, error) {
	var target keeper
	if c.keys > 0 {
		target = build(c.keys)
		for begin := 0; begin < c.keys; begin += load.entries {
			target.putAll(load.batch(begin, min(begin+load.entries, c.keys)), 1)
		}
	}
	batches := load.batches(c)
	used, err := measure.During(func() error {
		return together(c.writers, func(writer int) {
			for i := writer; i < len(batches); i += c.writers {
				if c.keys == 0 {
					target = build(load.entries)
				}
				target.putAll(batches[i], uint64(i+2))
			}
		})
	})
	if err != nil {
		return nil, err
	}
	// With several writers another batch may have written the key later.
	last := batches[len(batches)-1]
	if v, ok := target.get(last[0].key); !ok || v.version < 2 || c.writers == 1 && v.version != uint64(len(batches)+1) {
		return nil, fmt.Errorf("the last batch is not in the map: version %d, %v", v.version, ok)
	}
	n := float64(len(batches))
	return []float64{
		used.Wall.Seconds() * 1e3 / n,
		used.CPU.Seconds() * 1e3 / n,
		float64(used.Wall.Nanoseconds()) / n / float64(load.entries),
		float64(used.Allocations) / n,
		float64(used.Bytes) / n,
		float64(used.GCs) / n,
		float64(used.GCPauseTotal.Microseconds()) / n,
	}, nil
}

// load makes entries. Keys are hexadecimal, in an order that has nothing to do with
// that of their bytes; they lie in one piece of memory, without a pointer for each.
type load struct {
	text    []byte
	values  []byte
	entries int // of a batch
	rng     *rand.Rand
}

func newLoad(c putCase, entries int) *load {
	keys := c.keys
	switch {
	case c.keys == 0:
		keys = entries
	case c.fresh:
		keys += c.batches * entries
	}
	l := &load{entries: entries, rng: rand.New(rand.NewPCG(1, 2)), values: make([]byte, 1<<20)}
	for i := range l.values {
		l.values[i] = byte(l.rng.Uint32())
	}
	var raw [keyBytes / 2]byte
	for i := range keys {
		binary.BigEndian.PutUint64(raw[:], uint64(i)*0x9e3779b97f4a7c15) // Fibonacci hashing: no two are the same
		binary.BigEndian.PutUint64(raw[8:], l.rng.Uint64())
		l.text = hex.AppendEncode(l.text, raw[:])
	}
	return l
}

func (l *load) entry(i int) entry {
	at := i * valueBytes % (len(l.values) - valueBytes)
	return entry{l.text[i*keyBytes : (i+1)*keyBytes], l.values[at : at+valueBytes]}
}

// batch has the keys from begin to before end.
func (l *load) batch(begin, end int) []entry {
	batch := make([]entry, 0, end-begin)
	for i := begin; i < end; i++ {
		batch = append(batch, l.entry(i))
	}
	return batch
}

// batches returns those of one turn. Keys that are there are drawn from all of
// them, in any order and none twice in a batch.
func (l *load) batches(c putCase) [][]entry {
	out := make([][]entry, c.batches)
	for i := range out {
		switch {
		case c.keys == 0:
			out[i] = l.batch(0, l.entries)
		case c.fresh:
			out[i] = l.batch(c.keys+i*l.entries, c.keys+(i+1)*l.entries)
		default:
			// A stride without a common factor visits every key once before any twice.
			out[i] = make([]entry, l.entries)
			at, stride := l.rng.IntN(c.keys), coprime(c.keys)
			for n := range out[i] {
				out[i][n] = l.entry(at)
				at = (at + stride) % c.keys
			}
		}
	}
	return out
}

// coprime returns a number near 0.618 n that has no common factor with n.
func coprime(n int) int {
	gcd := func(a, b int) int {
		for b != 0 {
			a, b = b, a%b
		}
		return a
	}
	c := max(1, n*618/1000)
	for gcd(c, n) != 1 {
		c++
	}
	return c
}
