package router

import (
	"fmt"
	"testing"
)

func TestATagDecidesTheGroup(t *testing.T) {
	table := Equal(7)
	for _, pair := range [][2]string{
		{"{user1}name", "{user1}mail"},
		{"a{user1}", "b{user1}c"},
		{"user1", "{user1}"},
		{"{a{b}c", "x{a{b}"}, // up to the first '}'
		{"x{t}{u}", "{t}"},   // the first tag counts
	} {
		if a, b := table.GroupOf([]byte(pair[0])), table.GroupOf([]byte(pair[1])); a != b {
			t.Errorf("%q is in group %d and %q in %d", pair[0], a, pair[1], b)
		}
	}
}

func TestAnEmptyOrOpenTagIsNone(t *testing.T) {
	for key, want := range map[string]string{"{}a": "{}a", "a{": "a{", "a{b": "a{b", "a}b{": "a}b{", "": "", "{}{b}": "{}{b}"} {
		if got := string(tag([]byte(key))); got != want {
			t.Errorf("the tag of %q is %q, want %q", key, got, want)
		}
	}
}

// What a key's group is must never change for data that is there.
func TestGroupsAreTheSameForEver(t *testing.T) {
	table := Equal(4)
	for key, want := range map[string]uint64{
		"a": 4, "b": 2, "c": 3, "user:1": 1, "user:2": 2, "\x00\xff": 3, "orders/2026": 3,
	} {
		if got := table.GroupOf([]byte(key)); got != want {
			t.Errorf("%q is in group %d, want %d", key, got, want)
		}
	}
}

func TestKeysSpreadEvenly(t *testing.T) {
	const keys = 20_000
	for _, groups := range []int{1, 2, 3, 4, MaxGroups} {
		table, count := Equal(groups), make(map[uint64]int)
		for i := range keys {
			count[table.GroupOf(fmt.Appendf(nil, "user:%d", i))]++
		}
		for group := range groups {
			n, fair := count[uint64(group)+1], keys/groups
			if n < fair*9/10 || n > fair*11/10 {
				t.Errorf("with %d groups, group %d has %d keys of %d", groups, group+1, n, keys)
			}
		}
		if len(count) != groups {
			t.Errorf("%d groups are used of %d", len(count), groups)
		}
	}
}
