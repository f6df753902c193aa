package contract

import (
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
)

// Stories that share a node live in scopes of their own: the name of the subtest
// stands before every key and, shortened, before every request ID.

// scoped gives the keys and the request ID of a call a prefix. What is empty stays
// so, and an ID that tells its own age keeps its form.
func scoped(c call, scope string) call {
	c.entries, c.keys = slices.Clone(c.entries), slices.Clone(c.keys)
	for i, e := range c.entries {
		if len(e.Key) > 0 {
			c.entries[i].Key = append([]byte(scope), e.Key...)
		}
	}
	for i, key := range c.keys {
		if key != "" || c.op == scan {
			c.keys[i] = scope + key
		}
	}
	if c.start != "" {
		c.start = scope + c.start
	}
	if c.id != "" && !strings.HasPrefix(c.id, "v7-") {
		c.id = shortened(scope) + c.id
	}
	return c
}

func unscoped(got answer, scope string) answer {
	for i := range got.items {
		got.items[i].key = strings.TrimPrefix(got.items[i].key, scope)
	}
	if got.refused != nil {
		for i, key := range got.refused.keys {
			got.refused.keys[i] = strings.TrimPrefix(key, scope)
		}
	}
	return got
}

// shortened makes room for the ID itself: at most 128 characters are allowed.
func shortened(scope string) string {
	h := fnv.New64a()
	_, _ = h.Write([]byte(scope)) // a hash.Hash never returns an error
	return strconv.FormatUint(h.Sum64(), 36) + "/"
}

// What a step takes over from the answers before it, by the steps' numbers.

func matching(n int) func(*call, []answer) {
	return func(c *call, past []answer) { c.ifMatch = past[n-1].etag }
}

func noneMatching(n int) func(*call, []answer) {
	return func(c *call, past []answer) { c.ifNoneMatch = past[n-1].etag }
}

// ifVersion asks every entry for the version of a step, plus delta.
func ifVersion(n int, delta uint64) func(*call, []answer) {
	return func(c *call, past []answer) {
		c.entries = slices.Clone(c.entries)
		for i := range c.entries {
			c.entries[i] = c.entries[i].OnlyIfVersion(past[n-1].version + delta)
		}
	}
}

// after passes the version of a step, plus delta.
func after(n int, delta uint64) func(*call, []answer) {
	return func(c *call, past []answer) { c.after = past[n-1].version + delta }
}

func both(one, other func(*call, []answer)) func(*call, []answer) {
	return func(c *call, past []answer) {
		one(c, past)
		other(c, past)
	}
}
