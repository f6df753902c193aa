package feed

import (
	"slices"
	"time"
)

// merge puts out what need not wait any more.
func (f *Feed) merge() {
	for again := true; again; {
		again = false
		for _, lane := range f.lanes {
			for len(lane.queue) > 0 && f.ready(lane, &lane.queue[0]) {
				f.putOut(lane, &lane.queue[0])
				lane.next()
				again = true
			}
		}
	}
}

// next goes on to the next of what waits.
func (l *Lane) next() {
	l.queue[0] = record{}
	if l.queue = l.queue[1:]; len(l.queue) == 0 {
		l.queue = nil
	}
}

// ready says whether the first record of a lane has what it waits for.
func (f *Feed) ready(l *Lane, r *record) bool {
	switch {
	case r.decided != nil:
		for _, group := range r.groups {
			other := f.Lane(group)
			s := other.attempts[*r.decided]
			if s == nil || s.prepared > other.merged() {
				return false
			}
		}
	case r.resolved != nil:
		s := l.attempts[*r.resolved]
		return s == nil || s.out
	}
	return true
}

// putOut emits the events of a record that is ready.
func (f *Feed) putOut(l *Lane, r *record) {
	switch {
	case r.decided != nil:
		f.putOutDecided(l, r)
	case r.resolved != nil:
		l.forget(*r.resolved)
	default:
		for _, e := range r.events {
			f.emit(e)
		}
	}
}

func (f *Feed) putOutDecided(l *Lane, r *record) {
	own := l.attempts[*r.decided]
	if own == nil {
		l.lose(r)
		return
	}
	for _, group := range r.groups {
		if f.Lane(group).attempts[*r.decided].passed {
			l.lose(r) // its lane is beyond it: later writes of its keys are out
			return
		}
	}
	e := Event{Group: l.group, Place: through(r.index), Version: r.version, Part: own.Part}
	own.out = true
	l.forget(*r.decided)
	for _, group := range r.groups {
		other := f.Lane(group)
		s := other.attempts[*r.decided]
		e.Others = append(e.Others, &s.Part)
		s.out = true
		if s.index != 0 && !other.awaits(*r.decided) {
			delete(other.attempts, *r.decided)
		}
	}
	f.emit(e)
}

// awaits says whether the lane still has to pass an attempt's resolution.
func (l *Lane) awaits(name attempt) bool {
	return slices.ContainsFunc(l.queue, func(r record) bool { return r.resolved != nil && *r.resolved == name })
}

// lose puts a mark where a record's events should be: who has not seen them is told.
func (l *Lane) lose(r *record) {
	f := l.f
	for i := range r.events {
		f.bytes -= r.events[i].bytes()
		r.events[i].Release()
	}
	if r.decided != nil {
		l.forget(*r.decided)
		for _, group := range r.groups {
			other := f.Lane(group)
			if s := other.attempts[*r.decided]; s != nil && !s.out {
				f.bytes -= s.size
				s.in.release()
				s.out = true
				if s.index != 0 && !other.awaits(*r.decided) {
					delete(other.attempts, *r.decided)
				}
			}
		}
	}
	if r.resolved != nil {
		if s := l.attempts[*r.resolved]; s != nil {
			if s.out {
				delete(l.attempts, *r.resolved)
			} else {
				s.passed = true
			}
		}
		return
	}
	l.mark(r.index)
}

// Bounds of what a lane waits for. The entries that it waits for are in other groups' logs
// already, and come as soon as this node's replicas have them; unless they were jumped over.
const (
	waitMost    = 10 * time.Second
	attemptMost = 10 * time.Minute
)

// Tick gives up what has been waited for too long. It is to be called every second or so.
func (f *Feed) Tick(now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.force(func(r *record) bool { return now.Sub(r.since) > waitMost })
	for _, lane := range f.lanes {
		for name, s := range lane.attempts {
			if now.Sub(s.since) > attemptMost {
				lane.forget(name)
			}
		}
	}
}

// Recovered says that the log has been replayed: what its replay alone does not settle was settled
// before it begins.
func (f *Feed) Recovered() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.force(func(*record) bool { return true })
}

// force goes on without what the first records of the lanes wait for, where givenUp says so.
func (f *Feed) force(givenUp func(*record) bool) {
	f.merge()
	for again := true; again; {
		again = false
		for _, lane := range f.lanes {
			if len(lane.queue) > 0 && givenUp(&lane.queue[0]) {
				lane.lose(&lane.queue[0])
				lane.next()
				again = true
				f.merge()
			}
		}
	}
}
