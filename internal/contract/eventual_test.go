package contract

import (
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/config"
)

// TestEventualWritesAreAccepted: accepted is neither acknowledged nor refused; the
// request ID guards against applying twice all the same.
func TestEventualWritesAreAccepted(t *testing.T) {
	for _, store := range []string{"pebble", "memory"} {
		eachFace(t, sharedNode(t, store), func(t *testing.T, f face) {
			k := t.Name()
			write := call{id: k, entries: puts(k + "=1"), level: sheaf.Eventual}
			if got := must(t, f, write); !got.accepted || got.replayed || got.version != 0 || got.etag != "" {
				t.Errorf("an EVENTUAL write was answered %+v", got)
			}
			value := func() string {
				i := must(t, f, call{op: getAll, keys: []string{k}}).items[0]
				return i.value
			}
			await(t, "the accepted batch is visible", func() bool { return value() == "1" })
			must(t, f, call{op: putKey, entries: puts(k + "=2")})
			if got := must(t, f, write); !got.accepted || !got.replayed {
				t.Errorf("the retry of an EVENTUAL write was answered %+v", got)
			}
			mustRefuse(t, f, call{id: k, entries: puts(k + "=3"), level: sheaf.Eventual}, sheaf.RequestIDReused)
			mustRefuse(t, f, call{id: k, entries: puts(k + "=1")}, sheaf.RequestIDReused) // another level is another payload
			must(t, f, call{op: deleteAll, id: k + "d", keys: []string{k + "none"}, level: sheaf.Eventual})
			must(t, f, call{op: putKey, entries: puts(k + "later=1"), level: sheaf.Eventual})
			await(t, "the batch accepted last is visible", func() bool {
				return must(t, f, call{op: getAll, keys: []string{k + "later"}}).items[0].found
			})
			if got := value(); got != "2" {
				t.Errorf("the retry was applied again: the value is %q", got)
			}
		})
	}
}

// TestAcceptedMeansWillBeApplied: what is certain to be refused must not be accepted.
func TestAcceptedMeansWillBeApplied(t *testing.T) {
	for name, c := range map[string]struct {
		id   string
		code sheaf.Code
	}{
		"an expired request ID":         {issued(t, -1), sheaf.RequestIDExpired},
		"a request ID of the future":    {issued(t, 1), sheaf.InvalidBatch},
		"a request ID that is no ASCII": {"größe", sheaf.InvalidBatch},
	} {
		t.Run(name, func(t *testing.T) {
			eachFace(t, sharedNode(t, "pebble"), func(t *testing.T, f face) {
				mustRefuse(t, f, call{id: c.id, entries: puts(t.Name() + "=1"), level: sheaf.Eventual}, c.code)
			})
		})
	}
}

// TestTheEventualQueueIsBounded: accepted batches are bounded by bytes, and those
// that a crash could lose by the time between them.
func TestTheEventualQueueIsBounded(t *testing.T) {
	disk := &slowDisk{FS: vfs.Default}
	n := start(t, t.TempDir(), disk, func(c *config.Config) { c.Eventual.QueueBytes, c.Eventual.Window = 64, 10*time.Second })
	arrived, release := disk.hold()
	defer release()
	must(t, httpFace{n}, call{id: "1", entries: puts("a=1"), level: sheaf.Eventual})
	<-arrived
	eachFace(t, n, func(t *testing.T, f face) {
		large := call{id: f.name(), entries: puts("b=" + strings.Repeat("v", 64)), level: sheaf.Eventual}
		mustRefuse(t, f, large, sheaf.RateLimited)
	})
	release()
	for _, f := range n.faces() {
		large := call{id: f.name(), entries: puts("b=" + strings.Repeat("v", 64)), level: sheaf.Eventual}
		await(t, "the queue has room", func() bool { return f.do(t, large).refused == nil })
	}
}
