package feed

import "github.com/sheafdb/sheaf/internal/wire"

// Event is one committed batch, or the keys that expired with one log entry.
type Event struct {
	// Group and Place say which log entry committed it.
	Group uint64
	Place Place
	// Version is that of the keys that the batch put; 0 when keys have expired.
	Version uint64
	// Part has the entries of Group; Others those of other groups, if there are any. The first may
	// be empty in what a Reader returns, when the reader has all of it already.
	Part   Part
	Others []*Part
}

// Part is what an event did in one group.
type Part struct {
	Group   uint64
	Entries wire.Entries
	// in has the bytes that Entries views, with one reference; nil of no entries.
	in *piece
	// size is what the part takes, about.
	size int64
	// index is the log entry of this group that wrote the values, as far as it has come; 0 is not yet.
	index uint64
}

// Expired says that the event's keys were removed because their time was over.
func (e *Event) Expired() bool { return e.Version == 0 }

// eventOverheadBytes is what an event takes beside its entries, about.
const eventOverheadBytes = 160

func (e *Event) bytes() int64 {
	n := e.Part.size
	for _, part := range e.Others {
		n += part.size
	}
	return n
}

// hold adds a reference to all that the event views.
func (e *Event) hold() {
	e.Part.in.hold()
	for _, part := range e.Others {
		part.in.hold()
	}
}

// Release gives back what a Reader's Next has returned: its entries must not be looked at any more.
func (e *Event) Release() {
	e.Part.in.release()
	for _, part := range e.Others {
		part.in.release()
	}
}
