package wal

import (
	"fmt"
	"slices"
)

// index is what the log knows in memory: where each group begins and ends and
// which segments are live. It does no I/O. Appending and replay change it
// through the same methods, so that a log read back is the log that was
// written.
type index struct {
	groups map[uint64]*group
	// order has every group of groups, oldest first. A group that was seen once
	// stays for good: forgetting its hard state could let it vote twice.
	order []*group
	// unsaved has the groups whose cut is not their savedCut.
	unsaved []*group

	// segments has the live segments by ascending sequence number, without
	// gaps. The last is the one appended to and is never dropped.
	segments []*segment
}

// group is one replica group's part of the log.
type group struct {
	id    uint64
	state HardState

	// Entries cut+1 to last are in the log. cut <= last always.
	cut, last uint64
	// savedCut is the cut that a durable record holds.
	savedCut uint64

	// The rest belongs to the batch being checked and is valid if batch is its
	// number: the cut it is checked against, the last index so far, and the
	// lowest index of it above floor, 0 while there is none.
	batch               uint64
	floor, next, lowest uint64
}

// segment is one live segment file.
type segment struct {
	seq  uint64
	path string
	// end is the offset after the last record.
	end int64
	// highest has for each group the highest index in this segment that no
	// later segment has replaced. The segment is needed while one of them is
	// above its group's cut.
	highest map[uint64]uint64
}

func newIndex() index { return index{groups: make(map[uint64]*group)} }

func newSegment(seq uint64, path string) *segment {
	return &segment{seq: seq, path: path, highest: make(map[uint64]uint64)}
}

// group returns the group, which it makes when it is not known.
func (x *index) group(id uint64) *group {
	g := x.groups[id]
	if g == nil {
		g = &group{id: id, state: HardState{Group: id}}
		x.groups[id] = g
		x.order = append(x.order, g)
	}
	return g
}

// check adds an entry to what is checked as the given batch, without changing
// the log. touched says that the batch did not have the group before.
func (x *index) check(g *group, batch, entry uint64) (touched bool, err error) {
	if g.batch != batch {
		g.batch, g.floor, g.next, g.lowest = batch, g.cut, g.last, 0
		touched = true
	}
	if entry == 0 {
		return touched, fmt.Errorf("%w: group %d: index 0", ErrInvalid, g.id)
	}
	if g.last == 0 && g.lowest == 0 {
		// A group without any history may begin anywhere: it may stem from a
		// snapshot.
		g.floor, g.next = entry-1, entry-1
	}
	switch {
	case entry <= g.floor:
		// Cut before it arrived: it is written and means nothing.
	case entry-1 > g.next:
		return touched, fmt.Errorf("%w: group %d: entry %d follows entry %d", ErrInvalid, g.id, entry, g.next)
	default:
		g.next = entry
		if g.lowest == 0 || entry < g.lowest {
			g.lowest = entry
		}
	}
	return touched, nil
}

// publish makes the entries checked as the group's current batch part of the
// log; they are in the last segment. The group may have been cut in between.
func (x *index) publish(g *group) {
	if g.lowest == 0 {
		return
	}
	if g.last == 0 {
		// Replay concludes this cut from the first entry, so it counts as saved.
		g.cut, g.savedCut = g.floor, g.floor
	}
	if g.lowest <= g.last {
		for _, s := range x.segments {
			if h, ok := s.highest[g.id]; ok && h >= g.lowest {
				s.highest[g.id] = g.lowest - 1
			}
		}
	}
	g.last = max(g.next, g.cut)
	x.segments[len(x.segments)-1].highest[g.id] = g.next
}

// cutTo notes that entries up to and including entry are not needed.
func (x *index) cutTo(g *group, entry uint64) {
	if entry <= g.cut {
		return
	}
	if g.cut == g.savedCut {
		x.unsaved = append(x.unsaved, g)
	}
	g.cut = entry
	g.last = max(g.last, entry)
}

// cutsSaved notes that the given cuts are durable.
func (x *index) cutsSaved(cuts []savingCut) {
	for _, c := range cuts {
		c.group.savedCut = c.index
	}
	x.unsaved = slices.DeleteFunc(x.unsaved, func(g *group) bool { return g.cut == g.savedCut })
}

// droppable counts the segments, oldest first, that no group needs.
func (x *index) droppable() int {
	for i, s := range x.segments {
		if i == len(x.segments)-1 || x.needed(s) {
			return i
		}
	}
	return 0
}

func (x *index) needed(s *segment) bool {
	for id, highest := range s.highest {
		if highest > x.groups[id].cut {
			return true
		}
	}
	return false
}

// take removes the n oldest segments and returns them.
func (x *index) take(n int) []*segment {
	taken := append([]*segment(nil), x.segments[:n]...)
	x.segments = append(x.segments[:0:0], x.segments[n:]...)
	return taken
}

// reserveBytes is the room that stays free at the end of a segment: for one
// drop with the cut of every group, the seal, and the terminator. It lets a
// full segment be sealed, and space be freed when there is no other.
func (x *index) reserveBytes() int64 {
	return int64(len(x.order)+3) * recordHeaderBytes
}

// preambleBytes is the size of the preamble of a segment that begins now.
func (x *index) preambleBytes() int64 {
	return int64(len(x.order)) * (recordHeaderBytes + groupPayloadBytes)
}
