package feed

import (
	"slices"
	"time"

	"github.com/sheafdb/sheaf/internal/wire"
)

// Lane takes in what one group's log entries did, in their order. Its methods are called by one
// goroutine at a time: the group's applier, and before it whoever replays the log.
//
// The entries that it is given are copied.
type Lane struct {
	f     *Feed
	group uint64

	// What follows is guarded by f.mu.

	// arrived is the last log entry that was told of. Entries up to base have no events here.
	arrived uint64
	base    Place
	// queue is what waits for another lane, and what is behind it.
	queue []record
	// attempts are the shares of batches over several groups that are on their way here.
	attempts map[attempt]*share
}

// attempt names one try of a batch over several groups.
type attempt struct {
	requestID string
	number    uint64
}

// share is what an attempt has in one group.
type share struct {
	Part
	// prepared is the log entry that did it, 0 if that was before the lane began.
	prepared uint64
	since    time.Time
	// out: its event is out, or can never be. passed: the lane went on without it.
	out, passed bool
}

// record is an entry that has to wait.
type record struct {
	index uint64
	since time.Time
	// events of a batch of this group alone, or of keys that expired.
	events []Event
	// decided is an attempt that was committed here, at version, and of groups beside this one.
	decided *attempt
	version uint64
	groups  []uint64
	// resolved is an attempt whose values were written here.
	resolved *attempt
}

// Begin says where the group's state stands before anything is told: what was before that is not to
// be had.
func (l *Lane) Begin(index uint64) {
	l.f.mu.Lock()
	defer l.f.mu.Unlock()
	l.arrived, l.base = index, through(index)
}

// Passed notes an entry that changed no key for readers.
func (l *Lane) Passed(index uint64) {
	l.f.mu.Lock()
	defer l.f.mu.Unlock()
	l.arrive(index)
	if len(l.f.lanes) > 1 {
		l.f.merge() // another lane may wait for this one
	}
}

// Wrote takes in a batch of this group.
func (l *Lane) Wrote(index, version uint64, entries wire.Entries) {
	l.take(index, Event{Group: l.group, Place: through(index), Version: version, Part: l.part(index, entries)})
}

// WroteEach takes in independent batches of one entry each that are in one log entry, with the version
// of each; 0 is one that was refused.
func (l *Lane) WroteEach(index uint64, versions []uint64, entries wire.Entries) {
	var events []Event
	for i, one := range entries.Singles() {
		if versions[i] > 0 {
			place := Place{index, uint64(len(events) + 1)}
			events = append(events, Event{Group: l.group, Place: place, Version: versions[i], Part: l.part(index, one)})
		}
	}
	if len(events) > 0 {
		events[len(events)-1].Place = through(index)
	}
	l.take(index, events...)
}

// Expired takes in what a log entry removed because its time was over, as deletes.
func (l *Lane) Expired(index uint64, deletes wire.Entries) {
	l.take(index, Event{Group: l.group, Place: through(index), Part: l.part(index, deletes)})
}

// part keeps entries.
func (l *Lane) part(index uint64, entries wire.Entries) Part {
	size := int64(len(entries.Raw())) + eventOverheadBytes
	kept, in := l.f.memory.keep(entries)
	return Part{Group: l.group, Entries: kept, in: in, size: size, index: index}
}

func (l *Lane) take(index uint64, events ...Event) {
	f := l.f
	f.mu.Lock()
	defer f.mu.Unlock()
	l.arrive(index)
	for i := range events {
		f.bytes += events[i].bytes()
	}
	if len(l.queue) > 0 {
		l.queue = append(l.queue, record{index: index, since: time.Now(), events: slices.Clone(events)})
	} else {
		for _, e := range events {
			f.emit(e)
		}
	}
	if len(f.lanes) > 1 {
		f.merge()
	}
	f.trim()
}

// Prepared takes in this group's part of an attempt, whose fate is not known.
func (l *Lane) Prepared(index uint64, requestID string, number uint64, entries wire.Entries) {
	s := &share{Part: l.part(0, entries), prepared: index, since: time.Now()}
	f := l.f
	f.mu.Lock()
	defer f.mu.Unlock()
	l.arrive(index)
	f.bytes += s.size
	l.attempts[attempt{requestID, number}] = s
	f.merge()
	f.trim()
}

// Decided takes in the commit of a batch over several groups in its home, this one. keys has one of
// each group. entries makes this group's part, for when its preparation was not told of.
func (l *Lane) Decided(index uint64, requestID string, number, version uint64, keys [][]byte, entries func() wire.Entries) {
	f := l.f
	f.mu.Lock()
	defer f.mu.Unlock()
	l.arrive(index)
	name := attempt{requestID, number}
	l.share(name, entries).index = index
	var groups []uint64
	for _, key := range keys {
		if group := f.cfg.GroupOf(key); group != l.group {
			groups = append(groups, group)
		}
	}
	l.queue = append(l.queue, record{index: index, since: time.Now(), decided: &name, version: version, groups: groups})
	f.merge()
	f.trim()
}

// Resolved takes in what became of an attempt's part here, if the home is another group: it was
// written, or dropped. entries is as in Decided.
func (l *Lane) Resolved(index uint64, requestID string, number uint64, committed bool, entries func() wire.Entries) {
	f := l.f
	f.mu.Lock()
	defer f.mu.Unlock()
	l.arrive(index)
	name := attempt{requestID, number}
	if committed {
		l.share(name, entries).index = index
		l.queue = append(l.queue, record{index: index, since: time.Now(), resolved: &name})
	} else {
		l.forget(name)
	}
	f.merge()
	f.trim()
}

// Jumped says that the group's state was replaced by one at a later entry: what is between was not
// told of.
func (l *Lane) Jumped(index uint64) {
	f := l.f
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range l.queue {
		l.lose(&l.queue[i])
	}
	l.queue = nil
	l.arrived, l.base = index, through(index)
	l.mark(index)
	f.merge()
	f.trim()
}

// lost is the version of a mark in the place of events that are not there.
const lost = ^uint64(0)

// mark puts one out.
func (l *Lane) mark(index uint64) {
	l.f.bytes += eventOverheadBytes
	l.f.emit(Event{Group: l.group, Place: through(index), Version: lost, Part: Part{size: eventOverheadBytes}})
}

func (l *Lane) arrive(index uint64) {
	l.arrived = max(l.arrived, index)
	if l.f.catching {
		l.f.wake()
	}
}

// merged is the entry up to which everything is out.
func (l *Lane) merged() uint64 {
	if len(l.queue) > 0 {
		return l.queue[0].index - 1
	}
	return l.arrived
}

// share is an attempt's, which is made if the lane has not heard of it.
func (l *Lane) share(name attempt, entries func() wire.Entries) *share {
	s := l.attempts[name]
	if s == nil {
		s = &share{Part: l.part(0, entries()), since: time.Now()}
		l.f.bytes += s.size
		l.attempts[name] = s
	}
	return s
}

// forget lets go of an attempt's share that is in no event.
func (l *Lane) forget(name attempt) {
	s := l.attempts[name]
	if s == nil {
		return
	}
	delete(l.attempts, name)
	if !s.out {
		l.f.bytes -= s.size
		s.in.release()
	}
}
