package coordinator

import (
	"hash/maphash"
	"math/bits"
	"slices"
)

// lastKeys finds the batches of a stream that have a key in common with the next one. It has two
// generations of batches, each with a table of the hashes of its keys, and of the number of the
// last batch that had each. A generation that is full becomes the old one, and the old one's
// table is emptied for the next, which must wait until all its batches have ended. So nothing is
// ever removed, and a key costs a look into two tables that are small enough for the
// processor's cache.
type lastKeys struct {
	now, old *generation
	// room is how many keys the next generation has room for.
	room int
}

// generation is a run of batches. Its table is open-addressing; the first bits of a hash are the
// place of a slot, which holds its last 20 and the number of a batch. Two keys that look the same
// make one batch wait for another without need, and do no other harm.
type generation struct {
	slots []uint32 // 0 is empty; their number is a power of two
	shift uint
	used  int
	// flying is how many of its batches have not ended.
	flying int
}

const (
	numberBits = 12
	numberMask = 1<<numberBits - 1
	// The room of the first generation, and of most: half a table of 256 KiB. A larger batch
	// gets a generation with room for it alone.
	firstKeyRoom = 1 << 11
	mostKeyRoom  = 1 << 15
)

// streamSeed is the process's own, so that nobody can choose keys that collide.
var streamSeed = maphash.MakeSeed()

func hashOf(key []byte) uint64 { return maphash.Bytes(streamSeed, key) }

// short is a number as a slot has it: never 0, so that a slot in use is not. A batch waits while
// one flies that has the same.
func short(number uint64) uint32 { return uint32(number%numberMask) + 1 }

func newLastKeys() lastKeys {
	return lastKeys{now: &generation{}, old: &generation{}, room: firstKeyRoom}
}

// waits says whether a batch of so many keys must wait until others have ended.
func (k *lastKeys) waits(keys int) bool {
	return 2*(k.now.used+keys) > len(k.now.slots) && k.old.flying > 0
}

// join puts the keys of f into the table, and into f.ahead those that fly and have one of them.
func (k *lastKeys) join(f *Flight, flying map[uint32]*Flight) {
	if keys := f.Request.Entries.Len(); 2*(k.now.used+keys) > len(k.now.slots) {
		k.now, k.old = k.old, k.now
		k.now.empty(max(keys, k.room))
		k.room = min(2*k.room, mostKeyRoom)
	}
	f.generation = k.now
	k.now.flying++
	own, last := short(f.number), uint32(0)
	for _, entry := range f.Request.Entries.All() {
		hash := hashOf(entry.Key)
		for _, before := range [2]uint32{k.old.get(hash), k.now.set(hash, own)} {
			if before != 0 && before != own && before != last {
				last = before
				f.wait(flying[before])
			}
		}
	}
}

// wait puts a flight ahead of f, unless it has ended or is there.
func (f *Flight) wait(before *Flight) {
	if before != nil && !slices.Contains(f.ahead, before) {
		f.ahead = append(f.ahead, before)
	}
}

// empty makes room for so many keys.
func (g *generation) empty(keys int) {
	size := 1 << bits.Len(uint(2*keys-1))
	if cap(g.slots) >= size && cap(g.slots) <= 2*max(size, 2*mostKeyRoom) {
		g.slots = g.slots[:size]
		clear(g.slots)
	} else {
		g.slots = make([]uint32, size)
	}
	g.shift, g.used = uint(64-bits.TrailingZeros(uint(size))), 0
}

// get returns the number of the last batch with a key, 0 if there is none.
func (g *generation) get(hash uint64) uint32 {
	if g.used == 0 {
		return 0
	}
	tag, mask := uint32(hash)<<numberBits, uint64(len(g.slots)-1)
	for at := hash >> g.shift; ; at = (at + 1) & mask {
		switch slot := g.slots[at]; {
		case slot == 0:
			return 0
		case slot&^numberMask == tag:
			return slot & numberMask
		}
	}
}

// set is get, and makes it this one.
func (g *generation) set(hash uint64, number uint32) (before uint32) {
	tag, mask := uint32(hash)<<numberBits, uint64(len(g.slots)-1)
	for at := hash >> g.shift; ; at = (at + 1) & mask {
		switch slot := g.slots[at]; {
		case slot == 0:
			g.slots[at] = tag | number
			g.used++
			return 0
		case slot&^numberMask == tag:
			g.slots[at] = tag | number
			return slot & numberMask
		}
	}
}
