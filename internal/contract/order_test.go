package contract

import (
	"testing"

	"github.com/sheafdb/sheaf"
)

// TestWriteChecksComeInOrder violates two neighbouring checks at once and looks
// which one answers: limits and shape, admission, request ID, preconditions. What
// involves admission needs nodes of its own and stands in TestNoSpaceComesBetween
// and TestAdmissionComesAfterShape.
func TestWriteChecksComeInOrder(t *testing.T) {
	one := call{id: "R", entries: puts("a=1", "b=1")}
	read := call{op: getAll, keys: []string{"a", "b"}}
	with := func(c call, change func(*call)) call {
		change(&c)
		return c
	}
	play(t, []string{"pebble", "memory"}, []story{
		{name: "shape comes before a known request ID", steps: []step{
			{call: one},
			{call: call{id: "R", entries: puts("a=1", "b=1", "a=2")}, want: want{code: sheaf.InvalidBatch, fields: []string{"entries[2].key"}}},
			{call: with(one, func(c *call) { c.ifMatch = "unquoted" }), want: want{code: sheaf.InvalidBatch, fields: []string{"if_match"}}},
			{call: with(one, func(c *call) { c.level = 9 }), want: want{code: sheaf.InvalidBatch, fields: []string{"consistency"}}},
			{call: one, want: want{replays: 1}},
		}},
		{name: "a bound on after is shape, and comes before a known request ID", steps: []step{
			{call: one},
			{call: one, from: after(1, 1<<33), want: want{code: sheaf.InvalidBatch, fields: []string{"after"}}},
		}},
		{name: "shape comes before preconditions", steps: []step{
			{call: one},
			{call: call{id: "S", entries: puts("a=1", "=2"), ifMatch: `"stale"`}, want: want{code: sheaf.InvalidBatch, fields: []string{"entries[1].key"}}},
			{call: call{id: "S", entries: puts("a=1", "a=2"), ifNoneMatch: "*"}, want: want{code: sheaf.InvalidBatch, fields: []string{"entries[1].key"}}},
		}},
		{name: "a known request ID comes before a stale ETag", steps: []step{
			{call: read, want: want{items: []string{"a absent", "b absent"}}},
			{call: one, from: matching(1)},
			// The answer was lost: the retry's ETag is stale because the batch committed.
			{call: one, from: matching(1), want: want{replays: 2}},
			{call: with(one, func(c *call) { c.ifMatch = `"stale"` }), want: want{replays: 2}},
			{call: with(one, func(c *call) { c.ifNoneMatch = "*" }), want: want{replays: 2}},
			{call: one, from: ifVersion(2, 7), want: want{replays: 2}},
		}},
		{name: "a reused request ID comes before a stale ETag", steps: []step{
			{call: one},
			{call: call{id: "R", entries: puts("a=2"), ifMatch: `"stale"`}, want: want{code: sheaf.RequestIDReused}},
			{call: call{id: "R", entries: puts("a=2"), ifNoneMatch: "*"}, want: want{code: sheaf.RequestIDReused}},
			{call: call{id: "R", entries: []sheaf.Entry{sheaf.Put("a", "2").OnlyIfVersion(0)}}, want: want{code: sheaf.RequestIDReused}},
			{call: read, want: want{items: []string{"a=1", "b=1"}, etagOf: 1}},
		}},
		{name: "a request ID of another level is reused", steps: []step{
			{call: one},
			{call: with(one, func(c *call) { c.level = sheaf.Sequential }), want: want{code: sheaf.RequestIDReused}},
		}},
		{name: "the age of a request ID comes before preconditions", steps: []step{
			{call: one},
			{call: call{id: issued(t, -1), entries: puts("a=2"), ifMatch: `"stale"`}, want: want{code: sheaf.RequestIDExpired}},
		}},
	})
}

// TestARefusalIsRemembered keeps a delayed first attempt from being applied after
// its caller was told 412.
func TestARefusalIsRemembered(t *testing.T) {
	read := call{op: getAll, keys: []string{"a"}}
	play(t, []string{"pebble", "memory"}, []story{
		{name: "under the same ETag, after it came to hold", steps: []step{
			{call: call{id: "seed", entries: puts("a=1")}},
			{call: call{id: "R", entries: puts("a=mine"), ifNoneMatch: "*"}, want: want{code: sheaf.ETagMismatch, keys: []string{"a"}}},
			{call: call{op: deleteAll, id: "D", keys: []string{"a"}}},
			{call: call{id: "R", entries: puts("a=mine"), ifNoneMatch: "*"}, want: want{code: sheaf.ETagMismatch}},
			{call: read, want: want{items: []string{"a absent"}}},
		}},
		{name: "under the same if_version, after it came to hold", steps: []step{
			{call: call{id: "seed", entries: puts("a=1")}},
			{call: call{id: "R", entries: []sheaf.Entry{sheaf.Put("a", "mine").OnlyIfVersion(0)}}, want: want{code: sheaf.VersionMismatch, keys: []string{"a"}}},
			{call: call{op: deleteAll, id: "D", keys: []string{"a"}}},
			{call: call{id: "R", entries: []sheaf.Entry{sheaf.Put("a", "mine").OnlyIfVersion(0)}}, want: want{code: sheaf.VersionMismatch}},
		}},
		{name: "but the same request ID with a fresh ETag is accepted, once", steps: []step{
			{call: call{id: "seed", entries: puts("a=1")}},
			{call: call{id: "R", entries: puts("a=mine"), ifMatch: `"stale"`}, want: want{code: sheaf.ETagMismatch, currentETag: 1}},
			{call: read, want: want{items: []string{"a=1"}, etagOf: 1}},
			{call: call{id: "R", entries: puts("a=mine")}, from: matching(3)},
			{call: call{id: "R", entries: puts("a=mine"), ifMatch: `"stale"`}, want: want{replays: 4}},
			{call: read, want: want{items: []string{"a=mine"}, etagOf: 4}},
		}},
		{name: "and another batch cannot take over its request ID", steps: []step{
			{call: call{id: "seed", entries: puts("a=1")}},
			{call: call{id: "R", entries: puts("a=mine"), ifMatch: `"stale"`}, want: want{code: sheaf.ETagMismatch}},
			{call: call{id: "R", entries: puts("a=other")}, want: want{code: sheaf.RequestIDReused}},
		}},
	})
}
