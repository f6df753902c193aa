package coordinator

import (
	"hash/maphash"
	"math/bits"
	"slices"
)

// lastKeys finds the batches of a stream that have a key in common with the next one. It is an
// open-addressing table of the keys' hashes, each with the number of the last batch that had
// it. Nothing is removed when a batch ends: its number is then not among those that fly, and
// the slot is dropped when the table is made anew. So a key costs one look at one slot.
//
// A slot holds 40 bits of a hash and 24 of a number. Two keys, or two batches, that look the
// same in them make one batch wait for another without need, and do no other harm.
type lastKeys struct {
	slots []uint64 // 0 is empty; their number is a power of two
	shift uint     // what is left of a hash is the place of its slot
	used  int
}

const (
	numberBits = 24
	numberMask = 1<<numberBits - 1
	// minKeySlots is the size of a new table.
	minKeySlots = 1 << 12
)

// streamSeed is the process's own, so that nobody can choose keys that collide.
var streamSeed = maphash.MakeSeed()

func hashOf(key []byte) uint64 { return maphash.Bytes(streamSeed, key) }

// short is a number as a slot has it: never 0, so that a slot in use is not.
func short(number uint64) uint32 { return uint32(number%numberMask) + 1 }

// join puts the keys of f into the table, and into f.ahead those that fly and have one of them.
// flyingKeys is how many keys those have.
func (k *lastKeys) join(f *Flight, flying map[uint32]*Flight, flyingKeys int) {
	if more := f.Request.Entries.Len(); 2*(k.used+more) > len(k.slots) {
		k.renew(flyingKeys+more, flying)
	}
	own := uint64(short(f.number))
	var last uint64 // the number that was found last
	for _, entry := range f.Request.Entries.All() {
		before := k.set(hashOf(entry.Key)&^numberMask | own)
		if before != own && before != last && before != 0 {
			last = before
			f.wait(flying[uint32(before)])
		}
	}
}

// set puts a slot in the place of the one with its hash, and returns the number of that, 0 if
// there was none.
func (k *lastKeys) set(slot uint64) (before uint64) {
	mask := uint64(len(k.slots) - 1)
	for at := slot >> k.shift; ; at = (at + 1) & mask {
		switch old := k.slots[at]; {
		case old == 0:
			k.slots[at] = slot
			k.used++
			return 0
		case (old^slot)&^numberMask == 0:
			k.slots[at] = slot
			return old & numberMask
		}
	}
}

// wait puts a flight ahead of f, unless it has ended or is there.
func (f *Flight) wait(before *Flight) {
	if before != nil && !slices.Contains(f.ahead, before) {
		f.ahead = append(f.ahead, before)
	}
}

// renew makes a table for so many keys, and as many more, with the slots of those that fly.
func (k *lastKeys) renew(keys int, flying map[uint32]*Flight) {
	old := k.slots
	size := max(minKeySlots, 1<<bits.Len(uint(4*keys-1)))
	*k = lastKeys{slots: make([]uint64, size), shift: uint(64 - bits.TrailingZeros(uint(size)))}
	for _, slot := range old {
		if slot != 0 && flying[uint32(slot&numberMask)] != nil {
			k.set(slot)
		}
	}
}
