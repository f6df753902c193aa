package storetest

import (
	"bytes"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"

	"github.com/sheafdb/sheaf/internal/store"
)

func testEmpty(t *testing.T, open Open) {
	fs := vfs.NewMem()
	for range 2 { // a store made, and one found
		s := mustOpen(t, open, fs)
		checkState(t, s, newModel().state())
		mustFlush(t, s, 0)
		mustClose(t, s)
	}
}

func testSetOverwriteDelete(t *testing.T, open Open) {
	s := mustOpen(t, open, vfs.NewMem())
	defer mustClose(t, s)
	steps := []struct {
		op   store.Op
		want string
	}{
		{set(store.Data, "k", "one"), "one"},
		{set(store.Data, "k", "two, and longer"), "two, and longer"},
		{set(store.Data, "k", ""), ""},
		{del(store.Data, "k"), missing},
		{del(store.Data, "k"), missing},
		{set(store.Data, "k", "again"), "again"},
	}
	for i, step := range steps {
		index := uint64(i + 1)
		mustApply(t, s, entry(index, step.op))
		v := s.View()
		if got := get(t, v, store.Data, "k"); got != step.want {
			t.Errorf("after step %d: got %q, want %q", i, got, step.want)
		}
		if diff := cmp.Diff(metaAt(index), v.Meta()); diff != "" {
			t.Errorf("after step %d: Meta (-want +got):\n%s", i, diff)
		}
		closeView(t, v)
	}
	// A log entry may change nothing but the Meta.
	mustApply(t, s, entry(100))
	v := s.View()
	defer closeView(t, v)
	if got := v.Meta(); got != metaAt(100) {
		t.Errorf("Meta = %+v", got)
	}
}

func testSpaces(t *testing.T, open Open) {
	s := mustOpen(t, open, vfs.NewMem())
	defer mustClose(t, s)
	mustApply(t, s, entry(1, set(store.Data, "k", "data"), set(store.Rows, "k", "rows"), set(store.Due, "k", "")))
	mustApply(t, s, entry(2, del(store.Rows, "k")))
	v := s.View()
	for space, want := range map[store.Space]string{store.Data: "data", store.Rows: missing, store.Due: ""} {
		if got := get(t, v, space, "k"); got != want {
			t.Errorf("space %d: got %q, want %q", space, got, want)
		}
	}
	closeView(t, v)
	// Keys that begin like another space's number, or like nothing.
	mustApply(t, s, entry(3, set(store.Data, "\x02k", "2"), set(store.Data, "\x00", "0"), set(store.Rows, "\x01k", "1")))
	v = s.View()
	defer closeView(t, v)
	if got := get(t, v, store.Data, "k"); got != "data" {
		t.Errorf("got %q", got)
	}
	if got := get(t, v, store.Rows, "k"); got != missing {
		t.Errorf("got %q", got)
	}
}

func testAnyBytes(t *testing.T, open Open) {
	fs := vfs.NewMem()
	s := mustOpen(t, open, fs)
	m := newModel()
	keys := []string{
		"\x00", "\x00\x00", "\x00\xff", "\xff", "\xff\xff", "\xff\x00", "a", "a\x00", "a\x00b", "a\xff", "b",
		strings.Repeat("\xff", 4096), strings.Repeat("k", 4096), string(byte(store.Data)), string(byte(store.Due)),
	}
	step := entry(1)
	for i, key := range keys {
		value := strings.Repeat(string(rune(i)), i)
		step.Ops = append(step.Ops, set(store.Data, key, value), set(store.Rows, key, "row of "+value), set(store.Due, key, ""))
	}
	step.Ops = append(step.Ops, set(store.Data, "large", string(bytes.Repeat([]byte("0123456789abcdef"), 1<<16))))
	mustApply(t, s, step)
	m.apply(step)
	checkState(t, s, m.state())
	mustFlush(t, s, 1)
	checkState(t, s, m.state())
	mustClose(t, s)
	s = mustOpen(t, open, fs)
	defer mustClose(t, s)
	checkState(t, s, m.state())
}

func testApplyKeepsNoSlice(t *testing.T, open Open) {
	s := mustOpen(t, open, vfs.NewMem())
	defer mustClose(t, s)
	w := &workload{seed: 1, keys: 100}
	for i := uint64(1); i <= 50; i++ {
		m := w.entry(i)
		mustApply(t, s, m)
		for _, op := range m.Ops {
			for _, part := range [][]byte{op.Key, op.Head, op.Value} {
				for j := range part {
					part[j] = '#'
				}
			}
		}
		m.Reset()
	}
	checkState(t, s, w.stateAt(50))
}

func testApplyRefuses(t *testing.T, open Open) {
	for name, m := range map[string]*store.Mutations{
		"same index":    entry(5, set(store.Data, "k", "other")),
		"smaller index": entry(4, set(store.Data, "k", "other")),
		"unknown space": entry(6, set(store.Data, "k", "other"), set(9, "k", "v")),
		"space of Meta": entry(6, set(store.Data, "k", "other"), set(0, "", "v")),
	} {
		s := mustOpen(t, open, vfs.NewMem())
		mustApply(t, s, entry(5, set(store.Data, "k", "v")))
		if err := s.Apply(m); err == nil {
			t.Errorf("%s: applied", name)
		}
		v := s.View()
		if got := get(t, v, store.Data, "k"); got != "v" || v.Meta() != metaAt(5) {
			t.Errorf("%s: k = %q, Meta = %+v", name, got, v.Meta())
		}
		closeView(t, v)
		mustClose(t, s)
	}
}

func testValuesStay(t *testing.T, open Open) {
	fs := vfs.NewMem()
	w := &workload{seed: 2, keys: 300}
	s := mustOpen(t, open, fs)
	for i := uint64(1); i <= 100; i++ {
		mustApply(t, s, w.entry(i))
	}
	mustFlush(t, s, 100)
	mustClose(t, s)
	s = mustOpen(t, open, fs)
	defer mustClose(t, s)
	v := s.View()
	defer closeView(t, v)
	want := w.stateAt(100).Keys[store.Data]
	held := map[string][]byte{}
	for key := range want {
		value, _, err := v.Get(store.Data, []byte(key))
		if err != nil {
			t.Fatal(err)
		}
		held[key] = value
	}
	for key, value := range held {
		if string(value) != want[key] {
			t.Errorf("value of %s changed while its view was open", key)
		}
	}
}

func testDueKeys(t *testing.T, open Open) {
	s := mustOpen(t, open, vfs.NewMem())
	defer mustClose(t, s)
	mustApply(t, s, entry(1, set(store.Due, "b", ""), set(store.Due, "\xff", ""), set(store.Due, "a", ""),
		set(store.Data, "0", "v"), set(store.Rows, "0", "v")))
	mustApply(t, s, entry(2, set(store.Due, "\x00", ""), set(store.Due, "a\x00", ""), del(store.Due, "b"),
		set(store.Due, "\xff\xff", ""), set(store.Due, "\xff\x01", "")))
	list := func(prefix string, limit int) (keys []string) {
		v := s.View()
		defer closeView(t, v)
		err := v.DueKeys([]byte(prefix), func(key []byte) bool {
			keys = append(keys, string(key))
			return len(keys) < limit
		})
		if err != nil {
			t.Fatal(err)
		}
		return keys
	}
	for _, tt := range []struct {
		prefix string
		limit  int
		want   []string
	}{
		{"", 100, []string{"\x00", "a", "a\x00", "\xff", "\xff\x01", "\xff\xff"}},
		{"", 1, []string{"\x00"}},
		{"", 2, []string{"\x00", "a"}},
		{"a", 100, []string{"a", "a\x00"}},
		{"b", 100, nil},
		{"\xff", 100, []string{"\xff", "\xff\x01", "\xff\xff"}},
		{"\xff\xff", 100, []string{"\xff\xff"}},
	} {
		if diff := cmp.Diff(tt.want, list(tt.prefix, tt.limit)); diff != "" {
			t.Errorf("DueKeys(%q), %d at most (-want +got):\n%s", tt.prefix, tt.limit, diff)
		}
	}
}
