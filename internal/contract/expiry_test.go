package contract

import (
	"testing"
	"time"

	"github.com/sheafdb/sheaf"
)

// TestExpiredKeysAreGone: within 500 ms from every read, on a node that nobody
// writes to. It measures on a node of its own, so that it is idle.
func TestExpiredKeysAreGone(t *testing.T) {
	const ttl, grace = 300 * time.Millisecond, 500 * time.Millisecond
	for _, f := range start(t, t.TempDir(), nil, nil).faces() {
		k := "timed-" + f.name()
		first := must(t, f, call{id: k, entries: []sheaf.Entry{sheaf.Put(k, "1").WithTTL(ttl), sheaf.Put(k+"2", "1")}})
		written := time.Now()
		reads := []call{{op: getKey, keys: []string{k}}, {op: getAll, keys: []string{k}}, {op: scan, keys: []string{k}, limit: 1}}
		alive := func(c call) bool {
			got := must(t, f, c)
			return got.items[0].found && got.items[0].key == k
		}
		for _, c := range reads {
			if begun := time.Now(); !alive(c) && time.Since(written) < ttl && begun.Sub(written) < ttl-10*time.Millisecond {
				t.Errorf("%s: %v: the key was gone %s after it was written", f.name(), c.op, time.Since(written))
			}
		}
		for _, c := range reads {
			await(t, "the key has expired", func() bool {
				begun := time.Now()
				lives := alive(c)
				if lives && begun.Sub(written) > ttl+grace {
					t.Fatalf("%s: %v: the key is still there %s after it was written", f.name(), c.op, begun.Sub(written))
				}
				return !lives
			})
		}
		// An expired key counts as absent, and its batch as applied.
		must(t, f, call{id: k + "new", entries: []sheaf.Entry{sheaf.Put(k, "2").OnlyIfVersion(0)}})
		again := must(t, f, call{id: k, entries: []sheaf.Entry{sheaf.Put(k, "1").WithTTL(ttl), sheaf.Put(k+"2", "1")}})
		if !again.replayed || again.version != first.version || again.etag != first.etag {
			t.Errorf("%s: the retry was answered %+v, the first attempt %+v", f.name(), again, first)
		}
	}
}

// TestTimeToLiveIsOfTheLastWrite: a key written again without one lives on.
func TestTimeToLiveIsOfTheLastWrite(t *testing.T) {
	f := httpFace{sharedNode(t, "pebble")}
	k := t.Name()
	must(t, f, call{op: putKey, entries: []sheaf.Entry{sheaf.Put(k, "1").WithTTL(time.Millisecond)}})
	must(t, f, call{op: putKey, entries: puts(k + "=2")})
	must(t, f, call{op: putKey, entries: []sheaf.Entry{sheaf.Put(k+"marker", "1").WithTTL(2 * time.Millisecond)}})
	await(t, "a key that was written later has expired", func() bool {
		return !must(t, f, call{op: getKey, keys: []string{k + "marker"}}).items[0].found
	})
	if got := must(t, f, call{op: getKey, keys: []string{k}}); !got.items[0].found {
		t.Error("the key expired with a time to live that was overwritten")
	}
}
