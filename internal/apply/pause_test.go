package apply

import (
	"testing"

	"github.com/sheafdb/sheaf/internal/wire"
)

func (m *machine) pause(nowMS uint64, id string, lengthMS uint64) Result {
	m.t.Helper()
	return m.at(nowMS, wire.Command{Kind: wire.Pause, RequestID: id, DeadlineMS: lengthMS})
}

func (m *machine) resume(nowMS uint64, id string, began uint64) Result {
	m.t.Helper()
	return m.at(nowMS, wire.Command{Kind: wire.Resume, RequestID: id, Version: began})
}

func (m *machine) prepare(nowMS uint64, id string) Result {
	m.t.Helper()
	entry := wire.Entry{Key: []byte(id), Value: []byte("v")}
	return m.at(nowMS, wire.Command{
		Kind: wire.Prepare, RequestID: id, Attempt: 1, HomeKey: []byte("a"), DeadlineMS: 1_000_000,
		Entries: wire.Canonical(wire.AppendEntry(nil, &entry)),
	})
}

func (m *machine) mustBePaused(result Result, by string) {
	m.t.Helper()
	if result.Outcome != Conflict || !result.Holder.Paused || result.Holder.RequestID != by || result.Holder.Attempt != 0 {
		m.t.Errorf("%+v, want a pause by %s", result, by)
	}
}

func TestAPauseKeepsNewAttemptsOut(t *testing.T) {
	m := newMachine(t)
	if r := m.prepare(10, "before"); r.Outcome != Ready {
		t.Fatalf("%+v", r)
	}
	began := m.pause(20, "p", 100)
	if began.Outcome != Ready || began.Version != m.index {
		t.Fatalf("%+v at entry %d", began, m.index)
	}
	m.mustBePaused(m.prepare(30, "new"), "p")
	if r := m.prepare(40, "before"); r.Outcome != Ready {
		t.Errorf("what is prepared is not answered again: %+v", r)
	}
	entry := wire.Entry{Key: []byte("fast"), Value: []byte("v")}
	if r := m.at(50, wire.Command{Kind: wire.Fast, RequestID: "fast", Entries: wire.Canonical(wire.AppendEntry(nil, &entry))}); r.Version == 0 {
		t.Errorf("a batch of one group is kept out: %+v", r)
	}
	m.at(60, wire.Command{Kind: wire.Resolve, RequestID: "before", Attempt: 1, Commit: true, Version: 9})
	if r := m.prepare(70, "before"); !r.Replayed || r.Version != 9 {
		t.Errorf("what is resolved is not answered: %+v", r)
	}
	if r := m.resume(80, "p", began.Version); r.Outcome != Ready {
		t.Errorf("it has lasted, and Resume says %+v", r)
	}
	if r := m.prepare(90, "new"); r.Outcome != Ready {
		t.Errorf("after it: %+v", r)
	}
	if r := m.resume(95, "p", began.Version); r.Outcome != Aborted {
		t.Errorf("it is over, and Resume says %+v", r)
	}
}

// TestAPauseEndsByItself, by the group's clock, and whoever asks then is told.
func TestAPauseEndsByItself(t *testing.T) {
	m := newMachine(t)
	began := m.pause(20, "p", 100)
	m.mustBePaused(m.prepare(119, "a"), "p")
	if r := m.prepare(120, "a"); r.Outcome != Ready {
		t.Errorf("at its end: %+v", r)
	}
	if r := m.resume(121, "p", began.Version); r.Outcome != Aborted {
		t.Errorf("Resume says %+v", r)
	}
	m.pause(200, "long", 1<<40)
	m.mustBePaused(m.prepare(200+MaxPauseMS-1, "b"), "long")
	if r := m.prepare(200+MaxPauseMS, "b"); r.Outcome != Ready {
		t.Errorf("a pause of years: %+v", r)
	}
	// A clock that is set back moves nothing.
	m.pause(100_000, "q", 100)
	m.mustBePaused(m.prepare(50_000, "c"), "q")
}

// TestAPauseThatIsSentTwiceIsOne while it lasts, and another afterwards, so that nobody takes
// both for one.
func TestAPauseThatIsSentTwiceIsOne(t *testing.T) {
	m := newMachine(t)
	first := m.pause(20, "p", 100)
	if again := m.pause(110, "p", 100); again.Outcome != Ready || again.Version != first.Version {
		t.Errorf("%+v, then %+v", first, again)
	}
	if r := m.prepare(120, "a"); r.Outcome != Ready {
		t.Errorf("the second has moved its end: %+v", r)
	}
	late := m.pause(130, "p", 100)
	if late.Outcome != Ready || late.Version == first.Version {
		t.Errorf("%+v, and after its end %+v", first, late)
	}
	if r := m.resume(140, "p", first.Version); r.Outcome != Aborted {
		t.Errorf("who asks of the first is told of the second: %+v", r)
	}
	if r := m.prepare(150, "b"); r.Outcome != Ready {
		t.Errorf("it was ended by its name: %+v", r)
	}
}

// TestOnePauseAtATime: another does not shorten or lengthen it.
func TestOnePauseAtATime(t *testing.T) {
	m := newMachine(t)
	first := m.pause(20, "p", 100)
	m.mustBePaused(m.pause(30, "q", 1000), "p")
	if r := m.resume(40, "q", 0); r.Outcome != Aborted {
		t.Errorf("%+v", r)
	}
	m.mustBePaused(m.prepare(50, "a"), "p")
	if r := m.resume(60, "p", first.Version); r.Outcome != Ready {
		t.Errorf("%+v", r)
	}
	if r := m.pause(70, "q", 1000); r.Outcome != Ready {
		t.Errorf("%+v", r)
	}
}
