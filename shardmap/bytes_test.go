package shardmap_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/sheafdb/sheaf/shardmap"
)

func contents(m *shardmap.Bytes) map[string]string {
	got := map[string]string{}
	m.Range(func(key, value []byte) bool {
		got[string(key)] = string(value)
		return true
	})
	return got
}

// lengths of values, around the sizes at which a record takes another form.
var valueLengths = []int{0, 1, 3, 4, 20, 100, 1000, 70_000, 262_100, 262_140, 262_144, 600_000}

// TestBytesBehavesLikeAMap does anything to a Bytes and to a plain map, with snapshots
// that begin and are walked in pieces while writes go on.
func TestBytesBehavesLikeAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := shardmap.NewBytes()
		defer m.Close()
		want := map[string]string{}
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		sizes, lengths := []int{5, 300, 5000}, []int{4, 7, len(valueLengths)}
		if raceEnabled { // one goroutine: nothing to find but time to spend
			sizes, lengths = sizes[:2], lengths[:2]
		}
		keys := rapid.SampledFrom(sizes).Draw(t, "keys")
		longest := rapid.SampledFrom(lengths).Draw(t, "longest")
		key := func() []byte {
			n := rng.IntN(keys)
			return append([]byte(fmt.Sprint(n)), make([]byte, n%60)...)
		}
		value := func() []byte {
			v := make([]byte, valueLengths[rng.IntN(longest)])
			for i := 0; i+8 <= len(v); i += 4096 {
				binary.LittleEndian.PutUint64(v[i:], rng.Uint64())
			}
			return v
		}
		entry := func() shardmap.BytesEntry {
			v := value()
			n := rng.IntN(len(v) + 1)
			return shardmap.BytesEntry{Key: key(), Prefix: v[:n], Value: v[n:], Delete: rng.IntN(4) == 0}
		}
		apply := func(e shardmap.BytesEntry) {
			if e.Delete {
				delete(want, string(e.Key))
			} else {
				want[string(e.Key)] = string(e.Prefix) + string(e.Value)
			}
		}
		var snapshot *shardmap.Snapshot
		var atSnapshot, seen map[string]string
		part := 0
		t.Repeat(map[string]func(*rapid.T){
			"": func(t *rapid.T) {
				if m.Len() != len(want) {
					t.Fatalf("Len() = %d, want %d", m.Len(), len(want))
				}
			},
			"batch": func(*rapid.T) {
				batch := make([]shardmap.BytesEntry, rng.IntN(min(keys, 600)))
				for i := range batch {
					batch[i] = entry()
				}
				m.PutAll(batch)
				for _, e := range batch {
					apply(e)
				}
			},
			"one": func(*rapid.T) {
				e := entry()
				if e.Delete {
					_, has := want[string(e.Key)]
					if m.Delete(e.Key) != has {
						t.Fatalf("Delete(%q) = %v", e.Key, !has)
					}
				} else {
					m.Put(e.Key, e.Prefix, e.Value)
				}
				apply(e)
			},
			"get": func(t *rapid.T) {
				k := key()
				got, ok := m.Get([]byte("dst:"), k)
				peeked, peekedOK := m.Peek(k)
				expected, has := want[string(k)]
				if ok != has || peekedOK != has || string(got) != "dst:"+expected || string(peeked) != expected {
					t.Fatalf("key %q: %d bytes, %v; want %d, %v", k, len(got)-4, ok, len(expected), has)
				}
			},
			"getall": func(t *rapid.T) {
				var asked [][]byte
				for range rng.IntN(20) {
					asked = append(asked, key())
				}
				var values shardmap.Values
				m.GetAll(asked, &values)
				for i, k := range asked {
					got, ok := values.At(i)
					if expected, has := want[string(k)]; ok != has || string(got) != expected {
						t.Fatalf("key %q: %d bytes, %v", k, len(got), ok)
					}
				}
			},
			"compare": func(t *rapid.T) {
				if got := contents(m); !maps.Equal(got, want) {
					t.Fatal(cmp.Diff(summary(want), summary(got)))
				}
			},
			"snapshot": func(t *rapid.T) {
				if snapshot == nil {
					snapshot, _ = m.Snapshot()
					atSnapshot, seen, part = maps.Clone(want), map[string]string{}, 0
				} else if _, ok := m.Snapshot(); ok {
					t.Fatal("a second snapshot")
				}
			},
			"walk": func(t *rapid.T) {
				for n := rng.IntN(80); snapshot != nil && n > 0; n-- {
					err := snapshot.Range(part, func(key, value []byte) error {
						if _, twice := seen[string(key)]; twice {
							t.Fatalf("key %q twice", key)
						}
						seen[string(key)] = string(value)
						if rng.IntN(50) == 0 { // the map may be written meanwhile
							e := entry()
							m.PutAll([]shardmap.BytesEntry{e})
							apply(e)
						}
						return nil
					})
					if err != nil {
						t.Fatal(err)
					}
					if part++; part == snapshot.Shards() {
						snapshot.Close()
						snapshot = nil
						if !maps.Equal(seen, atSnapshot) {
							t.Fatal(cmp.Diff(summary(atSnapshot), summary(seen)))
						}
					}
				}
			},
			"abandon": func(*rapid.T) {
				if snapshot != nil && rng.IntN(4) == 0 {
					snapshot.Close()
					snapshot = nil
				}
			},
		})
	})
}

func summary(m map[string]string) map[string]string {
	short := map[string]string{}
	for key, value := range m {
		short[key] = fmt.Sprintf("%d bytes, %x", len(value), value[:min(8, len(value))])
	}
	return short
}

// TestBytesStaysWithinItsBoundUnderChurn: whatever is overwritten and deleted, records
// take at most half more than what they hold, and all memory twice that in a steady state.
func TestBytesStaysWithinItsBoundUnderChurn(t *testing.T) {
	keys := 100_000
	if raceEnabled {
		keys = 10_000
	}
	rng := rand.New(rand.NewPCG(1, 2))
	m := shardmap.NewBytes()
	defer m.Close()
	value := make([]byte, 400)
	check := func(what string, steady bool) {
		t.Helper()
		use := m.Memory()
		live := 0
		m.Range(func(key, value []byte) bool {
			live += len(key) + len(value)
			return true
		})
		// Records are padded; nothing else may differ.
		if use.Live < int64(live) || use.Live > int64(live+16*m.Len()) {
			t.Errorf("%s: %d bytes of records counted live, keys and values have %d", what, use.Live, live)
		}
		if inUse, bound := use.Live+use.Dead, (use.Live+use.Slots)*3/2; inUse > bound && !raceEnabled {
			t.Errorf("%s: records take %d bytes, the bound is %d: %+v", what, inUse, bound, use)
		}
		// Chunks of a size that the map outgrows are kept for a while.
		factor := int64(3)
		if steady {
			factor = 2
		}
		if bound := (use.Live+use.Slots)*factor + 4<<20; use.Reserved > bound {
			t.Errorf("%s: %d bytes are reserved, the bound is %d: %+v", what, use.Reserved, bound, use)
		}
	}
	var batch []shardmap.BytesEntry
	for round := range 40 {
		batch = batch[:0]
		for range keys / 4 {
			n := rng.IntN(keys)
			batch = append(batch, shardmap.BytesEntry{Key: benchKey(n), Value: value[:rng.IntN(len(value))], Delete: round > 30 && rng.IntN(3) == 0})
		}
		m.PutAll(batch)
		check(fmt.Sprintf("round %d", round), 20 <= round && round <= 30)
	}
}

// TestBytesGivesWholeBatches: every batch stamps all keys; nobody sees two stamps.
func TestBytesGivesWholeBatches(t *testing.T) {
	m := shardmap.NewBytes()
	defer m.Close()
	const keys, rounds = 64, 300
	names := make([][]byte, keys)
	for i := range names {
		names[i] = benchKey(i)
	}
	stamp := func(writer, n int) {
		batch := make([]shardmap.BytesEntry, keys)
		value := []byte(fmt.Sprintf("%d-%d", writer, n))
		for i := range batch {
			batch[i] = shardmap.BytesEntry{Key: names[i], Value: value}
		}
		m.PutAll(batch)
	}
	stamp(0, 0)
	var writers, readers sync.WaitGroup
	done := make(chan struct{})
	for w := range 2 {
		writers.Go(func() {
			for n := range rounds {
				stamp(w, n)
			}
		})
	}
	for range 2 {
		readers.Go(func() {
			var values shardmap.Values
			for {
				m.GetAll(names, &values)
				first, _ := values.At(0)
				for i := range names {
					if value, ok := values.At(i); !ok || !bytes.Equal(value, first) {
						t.Errorf("key %d has %q, key 0 has %q", i, value, first)
						return
					}
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	writers.Wait()
	close(done)
	readers.Wait()
}

// TestBytesSnapshotWhileOthersWrite walks snapshots under load: each is one instant, so
// all its keys have the same stamp.
func TestBytesSnapshotWhileOthersWrite(t *testing.T) {
	m := shardmap.NewBytes()
	defer m.Close()
	const keys = 3000
	stamp := func(n int) {
		batch := make([]shardmap.BytesEntry, keys)
		value := append([]byte(fmt.Sprint(n)), make([]byte, n%50)...)
		for i := range batch {
			batch[i] = shardmap.BytesEntry{Key: benchKey(i), Value: value}
		}
		m.PutAll(batch)
	}
	stamp(0)
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := 1; ; n++ {
			select {
			case <-done:
				return
			default:
				stamp(n)
			}
		}
	})
	for range 20 {
		s, ok := m.Snapshot()
		if !ok {
			t.Error("no snapshot")
			break
		}
		count, first := 0, ""
		for part := range s.Shards() {
			_ = s.Range(part, func(_, value []byte) error {
				if count++; count == 1 {
					first = string(value)
				} else if string(value) != first {
					t.Errorf("%q and %q in one snapshot", first, value)
				}
				return nil
			})
		}
		s.Close()
		if count != keys {
			t.Errorf("%d keys", count)
		}
	}
	close(done)
	wg.Wait()
}

func TestPutAllOverKeysThatAreThereDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector empties pools")
	}
	batch := benchBatches(1000, 1000, 1)[0]
	m := shardmap.NewBytes()
	defer m.Close()
	typed := shardmap.New[int]()
	var entries []shardmap.Entry[int]
	for i, e := range batch {
		entries = append(entries, shardmap.Entry[int]{Key: string(e.Key), Value: i})
	}
	for name, write := range map[string]func(){
		"Bytes": func() { m.PutAll(batch) },
		"Map":   func() { typed.PutAll(entries) },
	} {
		write()
		if n := testing.AllocsPerRun(100, write); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func TestReserveMakesRoom(t *testing.T) {
	m := shardmap.NewBytes()
	defer m.Close()
	m.Put([]byte("a"), nil, []byte("1"))
	m.Reserve(1_000_000)
	before := m.Memory().Slots
	for i := range 1000 {
		m.Put(benchKey(i), nil, nil)
	}
	if after := m.Memory().Slots; after != before || before < 8_000_000 {
		t.Errorf("%d bytes of slots, then %d", before, after)
	}
	if value, ok := m.Get(nil, []byte("a")); !ok || string(value) != "1" {
		t.Errorf("a = %q, %v", value, ok)
	}
}

// TestAClosedMapIsEmpty: a reader that comes late finds nothing, and no memory that is
// not there any more.
func TestAClosedMapIsEmpty(t *testing.T) {
	m := shardmap.NewBytes()
	for i := range 10_000 {
		m.Put(benchKey(i), nil, []byte("v"))
	}
	s, _ := m.Snapshot()
	m.Close()
	if _, ok := m.Get(nil, benchKey(7)); ok || m.Len() != 0 || m.Memory().Reserved != 0 {
		t.Errorf("%d keys, %+v", m.Len(), m.Memory())
	}
	m.Range(func(key, _ []byte) bool {
		t.Errorf("key %q", key)
		return false
	})
	for part := range s.Shards() {
		_ = s.Range(part, func(key, _ []byte) error {
			t.Errorf("key %q in a snapshot", key)
			return nil
		})
	}
	s.Close()
}
