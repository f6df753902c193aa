package shardmap_test

import (
	"fmt"
	"maps"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/sheafdb/sheaf/shardmap"
)

func TestMapBehavesLikeAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := shardmap.New[int]()
		want := map[string]int{}
		key := func(t *rapid.T) string { return fmt.Sprint(rapid.IntRange(0, 200).Draw(t, "key")) }
		t.Repeat(map[string]func(*rapid.T){
			"": func(t *rapid.T) {
				if m.Len() != len(want) {
					t.Fatalf("Len() = %d, want %d", m.Len(), len(want))
				}
			},
			"batch": func(t *rapid.T) {
				var batch []shardmap.Entry[int]
				for range rapid.IntRange(0, 50).Draw(t, "entries") {
					e := shardmap.Entry[int]{Key: key(t), Value: rapid.Int().Draw(t, "value"), Delete: rapid.Bool().Draw(t, "delete")}
					batch = append(batch, e)
					if e.Delete {
						delete(want, e.Key)
					} else {
						want[e.Key] = e.Value
					}
				}
				m.PutAll(batch)
			},
			"put": func(t *rapid.T) {
				k := key(t)
				want[k] = len(k)
				m.Put(k, len(k))
			},
			"delete": func(t *rapid.T) {
				k := key(t)
				_, has := want[k]
				if m.Delete(k) != has {
					t.Fatalf("Delete(%q) = %v", k, !has)
				}
				delete(want, k)
			},
			"get": func(t *rapid.T) {
				keys := []string{key(t), key(t)}
				values, found := make([]int, 2), make([]bool, 2)
				m.GetAll(keys, values, found)
				for i, k := range keys {
					if v, has := want[k]; found[i] != has || values[i] != v {
						t.Fatalf("%q = %d, %v", k, values[i], found[i])
					}
				}
			},
			"compare": func(t *rapid.T) {
				got := map[string]int{}
				m.Range(func(key string, value int) bool {
					got[key] = value
					return true
				})
				if !maps.Equal(got, want) {
					t.Fatalf("%v, want %v", got, want)
				}
			},
		})
	})
}

func TestMapGivesWholeBatches(t *testing.T) {
	m := shardmap.New[int]()
	keys := make([]string, 50)
	for i := range keys {
		keys[i] = fmt.Sprint(i)
	}
	stamp := func(n int) {
		batch := make([]shardmap.Entry[int], len(keys))
		for i, k := range keys {
			batch[i] = shardmap.Entry[int]{Key: k, Value: n}
		}
		m.PutAll(batch)
	}
	stamp(0)
	var wg sync.WaitGroup
	for w := range 2 {
		wg.Go(func() {
			for n := range 500 {
				stamp(2*n + w)
			}
		})
	}
	values, found := make([]int, len(keys)), make([]bool, len(keys))
	for range 500 {
		m.GetAll(keys, values, found)
		for i, v := range values {
			if v != values[0] || !found[i] {
				t.Fatalf("key %d has %d, key 0 has %d", i, v, values[0])
			}
		}
	}
	wg.Wait()
}

func TestRangeStopsWhenTold(t *testing.T) {
	m, b := shardmap.New[int](), shardmap.NewBytes()
	defer b.Close()
	for i := range 100 {
		m.Put(fmt.Sprint(i), i)
		b.Put(benchKey(i), nil, nil)
	}
	n := 0
	m.Range(func(string, int) bool { n++; return n < 7 })
	b.Range(func([]byte, []byte) bool { n++; return n < 14 })
	if n != 14 {
		t.Errorf("visited %d", n)
	}
	if got := m.Memory(); got < 100*24 || got > 100*100 {
		t.Errorf("Memory() = %d", got)
	}
}
