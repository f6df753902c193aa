package coordinator

import (
	"fmt"
	"testing"
	"time"

	"github.com/sheafdb/sheaf/internal/apply"
	"github.com/sheafdb/sheaf/internal/wire"
)

// hold prepares keys in both groups for an attempt that nobody goes on with, and returns them.
func (g *twoGroups) hold(id string, keys int) (all [][]byte) {
	g.t.Helper()
	var raw []byte
	for i := range keys {
		key := fmt.Sprintf("%c-%s-%d", "ab"[i%2], id, i)
		raw = wire.AppendEntry(raw, &wire.Entry{Key: []byte(key), Value: []byte(id)})
		all = append(all, []byte(key))
	}
	for _, part := range Split(wire.Canonical(raw), groupOfFirst) {
		answers := g.Call([]Call{{Group: part.Group, Command: &wire.Command{
			Kind: wire.Prepare, RequestID: id, Attempt: 1, HomeKey: all[0], Entries: part.Entries,
			DeadlineMS: uint64(g.now.UnixMilli()) + 1000,
		}}})
		if answers[0].Result.Outcome != apply.Ready {
			g.t.Fatalf("%+v", answers[0].Result)
		}
	}
	return all
}

// TestAReaderAsksOnceForEachAttempt: in each of its two collects, however many keys it holds.
func TestAReaderAsksOnceForEachAttempt(t *testing.T) {
	g := newTwoGroups(t)
	keys := append(g.hold("one", 50), g.hold("two", 50)...)
	snapshot := &Snapshot{Keys: keys, GroupOf: groupOfFirst}
	values, err := snapshot.Run(g)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range values {
		if v.Live {
			t.Errorf("%s has a value that is not decided", keys[i])
		}
	}
	if g.asked != 2*2 || g.resolved != 0 {
		t.Errorf("home was asked %d times, and %d resolves were sent, for two attempts in two collects", g.asked, g.resolved)
	}

	g.now = g.now.Add(2 * time.Second) // past the deadline
	g.asked = 0
	again := &Snapshot{Keys: keys, GroupOf: groupOfFirst}
	if _, err := again.Run(g); err != nil {
		t.Fatal(err)
	}
	if g.asked != 2 || g.resolved != 2*2 {
		t.Errorf("home was asked %d times, and %d resolves were sent, for two attempts in two groups", g.asked, g.resolved)
	}
}
