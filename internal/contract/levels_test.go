package contract

import (
	"testing"

	"github.com/sheafdb/sheaf"
)

// TestVersionsGrow: a batch's version is larger than every earlier version of its
// keys and than the `after` that the caller passes.
func TestVersionsGrow(t *testing.T) {
	eachFace(t, sharedNode(t, "pebble"), func(t *testing.T, f face) {
		last, k := uint64(0), t.Name()
		for i, c := range []call{
			{op: putKey, entries: puts(k + "=1")},
			{op: deleteKey, keys: []string{k}},
			{id: k + "1", entries: puts(k+"=2", k+"other=2")},
			{op: deleteAll, id: k + "2", keys: []string{k}},
			{op: putKey, entries: puts(k + "=3"), level: sheaf.Sequential},
		} {
			c.after = last + uint64(i*100)
			got := must(t, f, c)
			if got.version <= c.after {
				t.Errorf("%v: version %d is not larger than after, %d", c.op, got.version, c.after)
			}
			last = got.version
		}
		if got := must(t, f, call{op: getAll, keys: []string{k}}).items[0]; got.version != last {
			t.Errorf("the key has version %d: it was written at %d", got.version, last)
		}
	})
}

// TestReadsAtEachLevel: LINEARIZABLE and SEQUENTIAL see what was acknowledged; a
// replica that has not reached `after` says so instead of answering.
func TestReadsAtEachLevel(t *testing.T) {
	for _, store := range []string{"pebble", "memory"} {
		eachFace(t, sharedNode(t, store), func(t *testing.T, f face) {
			k := t.Name()
			wrote := must(t, f, call{op: putKey, entries: puts(k + "=1"), level: sheaf.Sequential})
			// Other tests write to this node: only a version far ahead stays ahead.
			ahead := wrote.version + 1<<24
			for _, op := range []operation{getKey, getAll} {
				for _, level := range []sheaf.Consistency{sheaf.Linearizable, sheaf.Sequential} {
					got := must(t, f, call{op: op, keys: []string{k}, level: level, after: wrote.version})
					if got.items[0].value != "1" || got.items[0].version != wrote.version || got.etag != wrote.etag {
						t.Errorf("%v at %v answers %+v after %+v", op, level, got, wrote)
					}
				}
				if stale := (call{op: op, keys: []string{k}, level: sheaf.Sequential, after: ahead}); groups() == 1 {
					mustRefuse(t, f, stale, sheaf.StaleReplica)
				} else { // the version may be another group's: this one is asked for its newest state
					must(t, f, stale)
				}
				must(t, f, call{op: op, keys: []string{k}, level: sheaf.Eventual, after: ahead})
			}
		})
	}
}
