package apply

import (
	"testing"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/wire"
)

// commit takes a batch of one key through its home, without a Done.
func (m *machine) commit(nowMS uint64, id, key string) {
	m.t.Helper()
	cmd := wire.Command{
		Kind: wire.Prepare, RequestID: id, Attempt: 1, HomeKey: []byte(key), DeadlineMS: nowMS + 100, Entries: batch(key),
	}
	if r := m.at(nowMS, cmd); r.Outcome != Ready {
		m.t.Fatalf("%s: %+v", id, r)
	}
	cmd.Kind, cmd.Entries, cmd.Version = wire.Decide, wire.Entries{}, m.meta().Clock+1
	cmd.Keys = [][]byte{[]byte(key), []byte("of another group")}
	if r := m.at(nowMS, cmd); r.Outcome != Committed {
		m.t.Fatalf("%s: %+v", id, r)
	}
}

func (m *machine) done(nowMS uint64, id string, deadlineMS uint64) {
	m.t.Helper()
	m.at(nowMS, wire.Command{Kind: wire.Done, RequestID: id, Attempt: 1, DeadlineMS: deadlineMS})
}

func (m *machine) mustHaveRows(most uint64) {
	m.t.Helper()
	if rows := m.meta().Rows; rows > most {
		m.t.Errorf("%d request IDs are remembered, of at most %d", rows, most)
	}
}

func TestBatchesOverGroupsMakeRoomForTheirIDs(t *testing.T) {
	m := newMachine(t)
	m.maxRows = 4
	for n := range uint64(20) {
		id := v7(1000+n, byte(n))
		m.commit(1000+n, id, "a")
		m.done(1000+n, id, 1100+n)
		m.mustHaveRows(4)
	}
	// At a group that is not home, and with a condition that fails.
	for n := range uint64(20) {
		id := v7(1100+n, byte(n))
		m.at(1100+n, wire.Command{Kind: wire.Prepare, RequestID: id, Attempt: 1, HomeKey: []byte("b"), DeadlineMS: 2000, Entries: batch("a")})
		m.at(1100+n, wire.Command{Kind: wire.Resolve, RequestID: id, Attempt: 1, Commit: true, Version: m.meta().Clock + 1})
		m.mustHaveRows(4)
	}
	for n := range uint64(20) {
		m.at(1200+n, wire.Command{Kind: wire.Reject, RequestID: v7(1200+n, byte(n)), Condition: 1})
		m.mustHaveRows(4)
	}
}

// TestARefusalFindsNoRoomAmongOpaqueIDs: and what was prepared is committed all the same.
func TestARefusalFindsNoRoomAmongOpaqueIDs(t *testing.T) {
	m := newMachine(t)
	m.maxRows = 2
	m.commit(1000, "one", "a")
	late := wire.Command{Kind: wire.Prepare, RequestID: "three", Attempt: 1, HomeKey: []byte("b"), DeadlineMS: 1500, Entries: batch("b")}
	m.at(1000, late)
	m.commit(1000, "two", "c")
	if r := m.at(1000, wire.Command{Kind: wire.Reject, RequestID: "four", Condition: 1}); sheaf.CodeOf(r.Refused) != sheaf.RateLimited {
		t.Errorf("%+v", r)
	}
	late.Kind, late.Entries, late.Version = wire.Decide, wire.Entries{}, m.meta().Clock+1
	if r := m.at(1000, late); r.Outcome != Committed {
		t.Errorf("what was prepared: %+v", r)
	}
}

// TestRowsThatHomeNeedsAreNotInTheWayOfOthers: they stay until all groups have resolved their
// batches, and the others go meanwhile.
func TestRowsThatHomeNeedsAreNotInTheWayOfOthers(t *testing.T) {
	m := newMachine(t)
	m.maxRows, m.retentionMS = 4, 600_000
	m.commit(1000, v7(1000, 1), "a")
	m.commit(1001, v7(1001, 2), "b")
	for n := range uint64(50) {
		m.at(2000+n, wire.Command{Kind: wire.Fast, RequestID: v7(2000+n, 3), Entries: batch("c")})
	}
	m.mustHaveRows(4)
	m.look(func(state State) error {
		for _, id := range []string{v7(1000, 1), v7(1001, 2)} {
			if _, known, err := lookup(id, state); err != nil || !known {
				t.Errorf("a batch that not all groups have resolved is forgotten (%v)", err)
			}
		}
		return nil
	})
}
