package feed

import (
	"sync"

	"github.com/sheafdb/sheaf"
)

// Config is what a feed needs.
type Config struct {
	// Groups is how many there are; GroupOf says which has a key, from 1.
	Groups  int
	GroupOf func(key []byte) uint64
	// Bytes bounds what is kept of all groups, but for a single larger event. Until somebody reads
	// it is unaskedBytes, if that is less.
	Bytes int64
	// Tag names the data's origin: letters and digits. Tokens of another are not understood.
	Tag string
}

// Feed is a node's. Its methods may be called from any goroutine.
type Feed struct {
	cfg    Config
	memory memory

	mu    sync.Mutex
	lanes []*Lane
	// events are those that are kept, in the order of the merge; the first has number first.
	events deque
	first  uint64
	// bytes are those of events, and of what waits in the lanes.
	bytes   int64
	waiting []*Reader // that have seen all
	// catching: one of them waits for log entries, and not only for events.
	catching bool
	readers  int
	// asked: somebody has wanted to read. Before that little is kept.
	asked  bool
	closed *sheaf.Error
}

// unaskedBytes is enough for who comes back after a restart, and so little that nodes without watches
// do without the memory, and without touching it for the first time.
const unaskedBytes = 16 << 20

// New returns a feed that begins with nothing.
func New(cfg Config) *Feed {
	f := &Feed{cfg: cfg, first: 1}
	f.memory.pieceBytes = int(max(leastPieceBytes, min(cfg.Bytes/16, mostPieceBytes)))
	for i := range cfg.Groups {
		f.lanes = append(f.lanes, &Lane{f: f, group: uint64(i + 1), attempts: make(map[attempt]*share)})
	}
	return f
}

// Lane is that of a group.
func (f *Feed) Lane(group uint64) *Lane { return f.lanes[group-1] }

// Load is how many bytes are kept, and for how many readers.
func (f *Feed) Load() (bytes int64, readers int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.bytes, f.readers
}

// Close ends all readers, and those to come, with an error.
func (f *Feed) Close(why *sheaf.Error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = why
	f.wake()
}

// Free gives the memory back. Nothing may be told any more, and nobody may read.
func (f *Feed) Free() {
	f.mu.Lock()
	for f.events.count > 0 {
		f.drop()
	}
	for _, lane := range f.lanes {
		for i := range lane.queue {
			for j := range lane.queue[i].events {
				lane.queue[i].events[j].Release()
			}
		}
		for name := range lane.attempts {
			lane.forget(name)
		}
		lane.queue = nil
	}
	f.mu.Unlock()
	f.memory.end()
}

// emit adds an event to the run. The caller holds mu, and the event has the references of its parts.
func (f *Feed) emit(e Event) {
	f.events.push(e)
	f.wake()
}

// wake tells the readers that have seen all.
func (f *Feed) wake() {
	for _, reader := range f.waiting {
		reader.waits = false
		select {
		case reader.signal <- struct{}{}:
		default:
		}
	}
	clear(f.waiting)
	f.waiting, f.catching = f.waiting[:0], false
}

// trim lets go of the oldest until there is room. What waits in the lanes goes only when nothing
// else is left.
func (f *Feed) trim() {
	most := f.cfg.Bytes
	if !f.asked {
		most = min(most, unaskedBytes)
	}
	for f.bytes > most {
		if f.events.count > 1 || f.events.count == 1 && f.waits() {
			f.drop()
			continue
		}
		if !f.waits() {
			return // a single event is larger than the bound
		}
		f.force(func(*record) bool { return true })
		if f.events.count <= 1 {
			return
		}
	}
}

// waits says whether a lane waits for another.
func (f *Feed) waits() bool {
	for _, lane := range f.lanes {
		if len(lane.queue) > 0 {
			return true
		}
	}
	return false
}

// drop lets go of the oldest event.
func (f *Feed) drop() {
	e := f.events.shift()
	f.first++
	f.bytes -= e.bytes()
	lane := f.Lane(e.Group)
	if lane.base.before(e.Place) {
		lane.base = e.Place
	}
	e.Release()
}

// bases are the places up to which there is nothing to be had.
func (f *Feed) bases() []Place {
	places := make([]Place, len(f.lanes))
	for i, lane := range f.lanes {
		places[i] = lane.base
	}
	return places
}
