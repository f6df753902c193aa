package main

import (
	"encoding/json"
	"testing"
)

// TestEveryMapKeepsACopyOfTheLastValue: a contestant that forgets entries, or keeps
// the request's bytes, would win.
func TestEveryMapKeepsACopyOfTheLastValue(t *testing.T) {
	for _, k := range keepers {
		c := putCase{keys: 1000, fresh: true, batches: 2, writers: 1}
		load := newLoad(c, 100)
		m := k.build(1000)
		for version := uint64(1); version <= 3; version++ {
			batch := load.batch(0, 1000)
			m.putAll(batch, version)
		}
		want := append([]byte(nil), load.entry(7).value...)
		clear(load.values)
		for i := range 1000 {
			if v, ok := m.get(load.entry(i).key); !ok || v.version != 3 || len(v.value) != valueBytes {
				t.Fatalf("%s: key %d has version %d, %v", k.name, i, v.version, ok)
			}
		}
		if v, _ := m.get(load.entry(7).key); string(v.value) != string(want) {
			t.Errorf("%s keeps the request's bytes", k.name)
		}
		if _, ok := m.get(load.entry(1100).key); ok {
			t.Errorf("%s has a key that nobody wrote", k.name)
		}
	}
}

func TestBatchesHaveNoKeyTwiceAndAreFreshWhenTheySaySo(t *testing.T) {
	for _, c := range []putCase{
		{keys: 100, batches: 3, writers: 1},
		{keys: 1000, batches: 3, writers: 1},
		{keys: 300, fresh: true, batches: 3, writers: 1},
		{keys: 0, fresh: true, batches: 2, writers: 1},
	} {
		load := newLoad(c, 100)
		there := make(map[string]bool)
		for _, e := range load.batch(0, c.keys) {
			there[string(e.key)] = true
		}
		if len(there) != c.keys {
			t.Errorf("%+v: %d keys of %d differ", c, len(there), c.keys)
		}
		for _, batch := range load.batches(c) {
			seen := make(map[string]bool)
			for _, e := range batch {
				if seen[string(e.key)] || there[string(e.key)] == c.fresh {
					t.Fatalf("%+v: key %s is there twice, or should not be there, or should", c, e.key)
				}
				seen[string(e.key)] = true
			}
			if len(seen) != 100 {
				t.Errorf("%+v: a batch has %d entries", c, len(seen))
			}
			if c.fresh && c.keys > 0 {
				for key := range seen {
					there[key] = true
				}
			}
		}
	}
}

func TestEveryHandlerSaysTheSame(t *testing.T) {
	entries := entriesAtHand()
	entries[3].Value = "needs \"escapes\" <&> \u2028 \x01"
	want, err := json.Marshal(answer{entries})
	if err != nil {
		t.Fatal(err)
	}
	if got := appendAnswer(nil, entries); string(got) != string(want) {
		t.Errorf("appended:\n%s\nwant\n%s", got, want)
	}
	n, err := startNode()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := n.stop(); err != nil {
			t.Error(err)
		}
	}()
	services, err := jsonServices(n)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range services[:len(services)-1] { // the last has no JSON
		var got answer
		if err := json.Unmarshal(s.answer(t), &got); err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		if len(got.Entries) != httpEntries || got.Entries[9].Value != entries[9].Value || !got.Entries[9].Found {
			t.Errorf("%s answers %+v", s.name, got)
		}
	}
}

func TestCountersHaveLinesOfTheirOwnOnlyWhenPadded(t *testing.T) {
	for name, c := range map[string]counters{"neighbours": neighbours(2), "padded": padded(2)} {
		c(0).Add(1)
		c(1).Add(2)
		if c(0).Load() != 1 || c(1).Load() != 2 {
			t.Errorf("%s: the counters are %d and %d", name, c(0).Load(), c(1).Load())
		}
	}
	if got := distance(neighbours(2)); got != 8 {
		t.Errorf("neighbours are %d bytes apart", got)
	}
	if got := distance(padded(2)); got != lineBytes {
		t.Errorf("padded counters are %d bytes apart", got)
	}
}
