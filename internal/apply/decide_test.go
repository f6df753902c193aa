package apply

import (
	"testing"

	"github.com/sheafdb/sheaf/internal/wire"
)

func (m *machine) status(id string, attempt, deadlineMS, retentionMS uint64) (result Result) {
	m.t.Helper()
	m.look(func(state State) (err error) {
		result, err = Status(id, attempt, deadlineMS, retentionMS, state)
		return err
	})
	return result
}

// TestNobodyIsToldAnEndBeforeTheDeadline: how long IDs are remembered is configuration, which
// the leaders of two groups may have read at different times. Whoever finds an intent asks with
// the shorter one; home may still commit with the longer.
func TestNobodyIsToldAnEndBeforeTheDeadline(t *testing.T) {
	home := newMachine(t)
	home.retentionMS = 20_000
	id := v7(100_000, 1)
	prepare := wire.Command{
		Kind: wire.Prepare, RequestID: id, Attempt: 1, HomeKey: []byte("a"), DeadlineMS: 115_000, Entries: batch("a"),
	}
	if r := home.at(109_800, prepare); r.Outcome != Ready {
		t.Fatalf("%+v", r)
	}
	home.at(110_100, wire.Command{Kind: wire.Tick})
	asked := home.status(id, 1, 115_000, 10_000)
	decided := home.at(110_200, wire.Command{
		Kind: wire.Decide, RequestID: id, Attempt: 1, HomeKey: []byte("a"), DeadlineMS: 115_000, Version: 7,
	})
	if asked.Outcome != Undecided || decided.Outcome != Committed {
		t.Errorf("home says %v and then %v, want undecided (%v) and committed (%v)", asked.Outcome, decided.Outcome, Undecided, Committed)
	}
}

func TestAnOldIDIsGoneAfterTheDeadline(t *testing.T) {
	home := newMachine(t)
	home.at(115_000, wire.Command{Kind: wire.Tick})
	if r := home.status(v7(100_000, 1), 1, 115_000, 10_000); r.Outcome != Undecided {
		t.Errorf("at the deadline: %+v", r)
	}
	home.at(115_001, wire.Command{Kind: wire.Tick})
	if r := home.status(v7(100_000, 1), 1, 115_000, 10_000); r.Outcome != Gone {
		t.Errorf("after the deadline, an old ID: %+v", r)
	}
	if r := home.status(v7(114_000, 1), 1, 115_000, 10_000); r.Outcome != Aborted {
		t.Errorf("after the deadline, a young ID: %+v", r)
	}
}
