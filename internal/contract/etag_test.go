package contract

import (
	"testing"

	"github.com/sheafdb/sheaf"
)

// TestETagsAreOfTheKeysNamed: PutAll and GetAll return the ETag of exactly the keys
// they name.
func TestETagsAreOfTheKeysNamed(t *testing.T) {
	ab, abc := []string{"a", "b"}, []string{"a", "b", "c"}
	play(t, []string{"pebble", "memory"}, []story{
		{name: "PutAll's ETag is the next GetAll's of the same keys", steps: []step{
			{call: call{id: "1", entries: puts("a=1", "b=2", "c")}},
			{call: call{op: getAll, keys: abc}, want: want{items: []string{"a=1", "b=2", "c absent"}, etagOf: 1}},
			{call: call{op: getAll, keys: []string{"c", "b", "a"}}, want: want{items: []string{"c absent", "b=2", "a=1"}, etagOf: 1}},
		}},
		{name: "a changed key changes it, with the same value too", steps: []step{
			{call: call{id: "1", entries: puts("a=1", "b=2")}},
			{call: call{id: "2", entries: puts("b=2")}},
			{call: call{op: getAll, keys: ab}, want: want{items: []string{"a=1", "b=2"}, etagNot: 1}},
			{call: call{op: getAll, keys: ab}, want: want{items: []string{"a=1", "b=2"}, etagOf: 3}},
		}},
		{name: "other keys do not change it", steps: []step{
			{call: call{id: "1", entries: puts("a=1", "b=2")}},
			{call: call{id: "2", entries: puts("c=3")}},
			{call: call{op: getAll, keys: ab}, want: want{items: []string{"a=1", "b=2"}, etagOf: 1}},
		}},
		{name: "an absent key counts nothing, whether deleted or never there", steps: []step{
			{call: call{id: "1", entries: puts("a=1")}},
			{call: call{op: getAll, keys: ab}, want: want{items: []string{"a=1", "b absent"}, etagOf: 1}},
			{call: call{op: deleteAll, id: "2", keys: ab}},
			{call: call{op: getAll, keys: []string{"never"}}, want: want{items: []string{"never absent"}, etagOf: 3}},
			{call: call{id: "4", entries: puts("b=2")}},
			{call: call{op: getAll, keys: ab}, want: want{items: []string{"a absent", "b=2"}, etagOf: 5}},
		}},
		{name: "a key asked for twice is answered twice and counts once", steps: []step{
			{call: call{id: "1", entries: puts("a=1", "b=2")}},
			{call: call{op: getAll, keys: []string{"a", "b", "a", "z", "z"}}, want: want{
				items: []string{"a=1", "b=2", "a=1", "z absent", "z absent"}, etagOf: 1,
			}},
		}},
		{name: "one key has one ETag, whichever path writes or reads it", steps: []step{
			{call: call{op: putKey, entries: puts("a=1")}},
			{call: call{op: getKey, keys: []string{"a"}}, want: want{items: []string{"a=1"}, etagOf: 1}},
			{call: call{op: getAll, keys: []string{"a"}}, want: want{items: []string{"a=1"}, etagOf: 1}},
		}},
		{name: "a key written again after its deletion has an ETag of its own", steps: []step{
			{call: call{op: putKey, entries: puts("a=1")}},
			{call: call{op: deleteKey, keys: []string{"a"}}, want: want{etagNot: 1}},
			{call: call{op: putKey, entries: puts("a=1")}, want: want{etagNot: 1}},
		}},
	})
}

// TestConditions covers If-Match, If-None-Match and if_version on writes.
func TestConditions(t *testing.T) {
	base := step{call: call{id: "base", entries: puts("a=1", "b=2")}}
	write := func(id string) call { return call{id: id, entries: puts("a=x", "b=x")} }
	matches := func(id, tags string) call {
		c := write(id)
		c.ifMatch = tags
		return c
	}
	refused := want{code: sheaf.ETagMismatch, currentETag: 1}
	zero := func(key string) sheaf.Entry { return sheaf.Put(key, "x").OnlyIfVersion(0) }
	play(t, []string{"pebble", "memory"}, []story{
		{name: "the current ETag matches, an old one does not", steps: []step{
			base,
			{call: write("2"), from: matching(1)},
			{call: write("3"), from: matching(1), want: want{code: sheaf.ETagMismatch, currentETag: 2}},
			{call: write("4"), from: matching(2)},
		}},
		{name: "a listed ETag matches", steps: []step{
			base,
			{call: write("2"), from: func(c *call, past []answer) { c.ifMatch = `"other", ` + past[0].etag + `,"third"` }},
		}},
		{name: "a foreign ETag is a mismatch", steps: []step{
			base,
			{call: matches("2", `"foreign"`), want: refused},
			{call: matches("3", `""`), want: refused},
			{call: matches("4", `"0123456789abcdef0123456789abcdef"`), want: refused},
		}},
		{name: "a weak ETag never matches", steps: []step{
			base,
			{call: write("2"), from: func(c *call, past []answer) { c.ifMatch = "W/" + past[0].etag }, want: refused},
			{call: write("3"), from: func(c *call, past []answer) { c.ifNoneMatch = "W/" + past[0].etag }},
		}},
		{name: "a malformed ETag is malformed", steps: []step{
			base,
			{call: matches("2", `abc`), want: want{code: sheaf.InvalidBatch, fields: []string{"if_match"}}},
			{call: matches("3", `"abc`), want: want{code: sheaf.InvalidBatch, fields: []string{"if_match"}}},
			{call: matches("4", `"a" "b"`), want: want{code: sheaf.InvalidBatch, fields: []string{"if_match"}}},
			{call: matches("5", `"a", *`), want: want{code: sheaf.InvalidBatch, fields: []string{"if_match"}}},
			{call: call{id: "6", entries: puts("a=x"), ifNoneMatch: `'a'`}, want: want{code: sheaf.InvalidBatch, fields: []string{"if_none_match"}}},
		}},
		{name: "a star asks for all keys to exist", steps: []step{
			base,
			{call: matches("2", "*")},
			{call: call{id: "3", entries: puts("a=x", "c=x", "d=x"), ifMatch: "*"}, want: want{code: sheaf.ETagMismatch, keys: []string{"c", "d"}}},
		}},
		{name: "no star asks for none to exist", steps: []step{
			base,
			{call: call{id: "2", entries: puts("c=x", "d"), ifNoneMatch: "*"}},
			{call: call{id: "3", entries: puts("a=x", "e=x"), ifNoneMatch: "*"}, want: want{code: sheaf.ETagMismatch, keys: []string{"a"}}},
			{call: write("4"), from: noneMatching(1), want: refused},
			{call: call{id: "5", entries: puts("a=x", "b=x"), ifNoneMatch: `"foreign"`}},
		}},
		{name: "if_version asks for exactly that version", steps: []step{
			base,
			{call: write("2"), from: ifVersion(1, 0)},
			{call: write("3"), from: ifVersion(1, 0), want: want{code: sheaf.VersionMismatch, keys: []string{"a", "b"}}},
			{call: write("4"), from: ifVersion(2, 1), want: want{code: sheaf.VersionMismatch, keys: []string{"a", "b"}}},
		}},
		{name: "if_version 0 asks for no key", steps: []step{
			{call: call{id: "1", entries: []sheaf.Entry{zero("a"), zero("b")}}},
			{call: call{id: "2", entries: []sheaf.Entry{zero("c"), zero("b")}}, want: want{code: sheaf.VersionMismatch, keys: []string{"b"}}},
			{call: call{op: deleteAll, id: "3", keys: []string{"b"}}},
			{call: call{id: "4", entries: []sheaf.Entry{zero("b")}}},
			{call: call{op: getAll, keys: []string{"a", "b", "c"}}, want: want{items: []string{"a=x", "b=x", "c absent"}}},
		}},
		{name: "every condition must hold", steps: []step{
			base,
			{call: write("2"), from: both(matching(1), ifVersion(1, 1)), want: want{code: sheaf.VersionMismatch, keys: []string{"a", "b"}}},
			{call: write("3"), from: both(matching(1), noneMatching(1)), want: refused},
			{call: write("4"), from: both(matching(1), ifVersion(1, 0))},
		}},
		{name: "deletes take conditions too", steps: []step{
			base,
			{call: call{op: deleteAll, id: "2", keys: []string{"a", "b"}, ifMatch: `"stale"`}, want: refused},
			{call: call{op: deleteKey, keys: []string{"c"}, ifMatch: "*"}, want: want{code: sheaf.ETagMismatch, keys: []string{"c"}}},
			{call: call{op: deleteAll, id: "3", keys: []string{"a", "b"}}, from: matching(1)},
		}},
		{name: "at most 20 keys are named", steps: []step{
			{call: call{id: "1", entries: numbered("k", 25)}},
			{call: call{id: "2", entries: numbered("k", 25), ifNoneMatch: "*"}, want: want{
				code: sheaf.ETagMismatch, currentETag: 1, keys: keysOf(numbered("k", 20)),
			}},
		}},
	})
}

// TestAnETagCanBeRequired: a node may insist on conditional writes.
func TestAnETagCanBeRequired(t *testing.T) {
	eachFace(t, sharedNode(t, "strict"), func(t *testing.T, f face) {
		k := t.Name()
		mustRefuse(t, f, call{id: k + "1", entries: puts(k + "=1")}, sheaf.ETagRequired)
		mustRefuse(t, f, call{op: deleteAll, id: k + "2", keys: []string{k}}, sheaf.ETagRequired)
		must(t, f, call{id: k + "3", entries: puts(k + "=1"), ifNoneMatch: "*"})
		must(t, f, call{op: getAll, keys: []string{k}})
		// What is malformed is told before what is missing.
		mustRefuse(t, f, call{id: k + "4", entries: puts(k+"=1", k+"=2")}, sheaf.InvalidBatch)
	})
}
