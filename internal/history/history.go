package history

import (
	"sync"

	"github.com/sheafdb/sheaf"
)

// Config is what a history needs.
type Config struct {
	// Groups is how many there are; GroupOf says which has a key, from 1.
	Groups  int
	GroupOf func(key []byte) uint64
	// Bytes bounds what is kept of all groups, but for a single larger event.
	Bytes int64
	// Tag names the data's origin: letters and digits. Tokens of another are not understood.
	Tag string
}

// History is a node's. Its methods may be called from any goroutine.
type History struct {
	cfg Config

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
	closed   *sheaf.Error
}

// New returns a history that begins with nothing.
func New(cfg Config) *History {
	h := &History{cfg: cfg, first: 1}
	for i := range cfg.Groups {
		h.lanes = append(h.lanes, &Lane{h: h, group: uint64(i + 1), attempts: make(map[attempt]*share)})
	}
	return h
}

// Lane is that of a group.
func (h *History) Lane(group uint64) *Lane { return h.lanes[group-1] }

// Bytes is how much is kept.
func (h *History) Bytes() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.bytes
}

// Close ends all readers, and those to come, with an error.
func (h *History) Close(why *sheaf.Error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = why
	h.wake()
}

// emit adds an event to the run. The caller holds mu, and the event has the references of its parts.
func (h *History) emit(e Event) {
	h.events.push(e)
	h.wake()
}

// wake tells the readers that have seen all.
func (h *History) wake() {
	for _, reader := range h.waiting {
		reader.waits = false
		select {
		case reader.signal <- struct{}{}:
		default:
		}
	}
	clear(h.waiting)
	h.waiting, h.catching = h.waiting[:0], false
}

// trim lets go of the oldest until there is room. What waits in the lanes goes only when nothing
// else is left.
func (h *History) trim() {
	for h.bytes > h.cfg.Bytes {
		if h.events.count > 1 || h.events.count == 1 && h.waits() {
			h.drop()
			continue
		}
		if !h.waits() {
			return // a single event is larger than the bound
		}
		h.force(func(*record) bool { return true })
		if h.events.count <= 1 {
			return
		}
	}
}

// waits says whether a lane waits for another.
func (h *History) waits() bool {
	for _, lane := range h.lanes {
		if len(lane.queue) > 0 {
			return true
		}
	}
	return false
}

// drop lets go of the oldest event.
func (h *History) drop() {
	e := h.events.shift()
	h.first++
	h.bytes -= e.bytes()
	lane := h.Lane(e.Group)
	if lane.base.before(e.Place) {
		lane.base = e.Place
	}
	e.Release()
}

// bases are the places up to which there is nothing to be had.
func (h *History) bases() []Place {
	places := make([]Place, len(h.lanes))
	for i, lane := range h.lanes {
		places[i] = lane.base
	}
	return places
}

// deque is a queue of events in a ring.
type deque struct {
	ring        []Event
	head, count int
}

func (d *deque) push(e Event) {
	if d.count == len(d.ring) {
		larger := make([]Event, max(64, 2*len(d.ring)))
		n := copy(larger, d.ring[d.head:])
		copy(larger[n:], d.ring[:d.head])
		d.ring, d.head = larger, 0
	}
	d.ring[(d.head+d.count)%len(d.ring)] = e
	d.count++
}

func (d *deque) shift() Event {
	e := d.ring[d.head]
	d.ring[d.head] = Event{}
	d.head = (d.head + 1) % len(d.ring)
	d.count--
	return e
}

func (d *deque) at(i int) *Event { return &d.ring[(d.head+i)%len(d.ring)] }
