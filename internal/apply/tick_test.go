package apply

import (
	"fmt"
	"testing"

	"github.com/sheafdb/sheaf/internal/store"
	"github.com/sheafdb/sheaf/internal/wire"
)

func (m *machine) reserve(nowMS uint64, kind wire.Kind, id string, untilMS uint64, keys ...string) {
	m.t.Helper()
	cmd := wire.Command{Kind: kind, RequestID: id, DeadlineMS: untilMS}
	for _, key := range keys {
		cmd.Keys = append(cmd.Keys, []byte(key))
	}
	m.at(nowMS, cmd)
}

// queued counts the elements of the queue of what is due, of a kind.
func (m *machine) queued(kind byte) (n int) {
	m.look(func(state State) error {
		return state.DueKeys([]byte{kind}, func([]byte) bool { n++; return true })
	})
	return n
}

func (m *machine) mustHold(keys uint64) {
	m.t.Helper()
	if held := m.meta().Held; held != keys {
		m.t.Errorf("%d keys are held, want %d", held, keys)
	}
}

func TestAReservationThatNobodyEndsIsRemoved(t *testing.T) {
	m := newMachine(t)
	m.reserve(10, wire.Reserve, "lost", 100, "a", "b")
	m.at(99, wire.Command{Kind: wire.Tick})
	m.mustHold(2)
	m.look(func(state State) error {
		if at, ok, err := NextDue(state); err != nil || !ok || at != 100 {
			t.Errorf("the next Tick is due at %d, %v", at, err)
		}
		return nil
	})
	m.at(100, wire.Command{Kind: wire.Tick})
	m.mustHold(0)
	if n := m.queued(dueReserved); n != 0 {
		t.Errorf("%d elements are left in the queue", n)
	}
}

func TestAReservationEndsOnlyItsOwn(t *testing.T) {
	m := newMachine(t)
	m.reserve(10, wire.Reserve, "ended", 100, "a")
	m.reserve(20, wire.Unreserve, "ended", 0, "a")
	if n := m.queued(dueReserved); n != 0 {
		t.Errorf("%d elements are left in the queue", n)
	}
	m.reserve(30, wire.Reserve, "other", 200, "a")
	m.reserve(30, wire.Reserve, "taken", 100, "b", "c")
	m.reserve(100, wire.Reserve, "again", 300, "c") // before a Tick
	m.at(100, wire.Command{
		Kind: wire.Prepare, RequestID: "r", Attempt: 1, HomeKey: []byte("b"), DeadlineMS: 1000, Entries: batch("b"),
	})
	m.at(150, wire.Command{Kind: wire.Tick})
	m.mustHold(3)
	m.at(200, wire.Command{Kind: wire.Tick})
	m.mustHold(2)
	m.at(300, wire.Command{Kind: wire.Tick})
	m.mustHold(1) // the attempt's
	m.reserve(400, wire.Reserve, "late", 350, "a")
	m.mustHold(1)
}

// TestExpiredKeysThatAreHeldWaitForTheirAttempt: and are not looked at without a pause
// meanwhile.
func TestExpiredKeysThatAreHeldWaitForTheirAttempt(t *testing.T) {
	m := newMachine(t)
	var raw []byte
	var names []string
	for i := range MaxDropsPerTick + 10 {
		names = append(names, fmt.Sprintf("key-%05d", i))
		raw = wire.AppendEntry(raw, &wire.Entry{Key: []byte(names[i]), Value: []byte("v"), TTLMS: 50})
	}
	m.at(10, wire.Command{Kind: wire.Fast, Entries: wire.Canonical(raw)})
	attempt := wire.Command{
		Kind: wire.Prepare, RequestID: "r", Attempt: 1, HomeKey: []byte("b"), DeadlineMS: 1000, Entries: batch(names...),
	}
	m.at(20, attempt)
	now, ticks := uint64(100), 0
	for more := true; more && ticks < 10; ticks++ {
		more = m.at(now, wire.Command{Kind: wire.Tick}).More
	}
	if ticks == 10 {
		t.Fatal("a Tick asks for another for ever")
	}
	count := func() (n int) {
		m.look(func(state State) error {
			for _, name := range names {
				if _, ok, err := state.Get(store.Data, []byte(name)); err != nil {
					return err
				} else if ok {
					n++
				}
			}
			return nil
		})
		return n
	}
	if n := count(); n != len(names) {
		t.Errorf("%d of %d keys are there that an attempt holds", n, len(names))
	}
	m.at(200, wire.Command{Kind: wire.Resolve, RequestID: "r", Attempt: 1})
	for more := true; more; {
		more = m.at(now+laterMS, wire.Command{Kind: wire.Tick}).More
	}
	if n := count(); n != 0 {
		t.Errorf("%d expired keys are left when the attempt is over", n)
	}
	if n := m.queued(dueKey); n != 0 {
		t.Errorf("%d elements are left in the queue", n)
	}
}
