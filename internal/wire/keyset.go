package wire

import (
	"hash/maphash"
	"math/bits"
	"sync"
)

// KeySet finds keys that are named twice. It is an open-addressing table of
// positions, and pooled, so that a batch of a thousand keys costs no
// allocation. It keeps the keys it is given until Release.
type KeySet struct {
	// slots hold half of a key's hash and its position in keys plus one; 0 is empty.
	// Their number is a power of two, at least twice that of the keys.
	slots []uint64
	keys  [][]byte
}

// maxPooledSlots bounds what a released KeySet keeps: a few hundred KiB.
const maxPooledSlots = 1 << 15

// minSlots is the size of a set of which nothing is known.
const minSlots = 64

// keySeed is the process's own, so that nobody can choose keys that collide.
var keySeed = maphash.MakeSeed()

var keySets = sync.Pool{New: func() any { return new(KeySet) }}

// NewKeySet returns an empty set, made for about as many keys as expected. The caller
// must Release it.
func NewKeySet(expected int) *KeySet {
	s := keySets.Get().(*KeySet)
	s.slots = cleared(s.slots, max(minSlots, 1<<bits.Len(uint(2*expected))))
	return s
}

// cleared returns n empty slots, in the same memory if it is large enough.
func cleared(slots []uint64, n int) []uint64 {
	if cap(slots) < n {
		return make([]uint64, n)
	}
	slots = slots[:n]
	clear(slots)
	return slots
}

// Release empties the set and gives it back; it must not be used afterwards.
func (s *KeySet) Release() {
	if cap(s.slots) > maxPooledSlots {
		s.slots, s.keys = nil, nil
	}
	clear(s.keys)
	s.keys = s.keys[:0]
	keySets.Put(s)
}

// Add adds a key. If it is there already, dup is true and first is how many
// keys had been added before it was.
func (s *KeySet) Add(key []byte) (first int, dup bool) {
	if 2*len(s.keys) >= len(s.slots) {
		s.grow()
	}
	hash := maphash.Bytes(keySeed, key)
	tag := hash >> 32 << 32
	mask := uint64(len(s.slots) - 1)
	for at := hash & mask; ; at = (at + 1) & mask {
		slot := s.slots[at]
		if slot == 0 {
			s.keys = append(s.keys, key)
			s.slots[at] = tag | uint64(len(s.keys))
			return 0, false
		}
		if slot>>32<<32 == tag {
			if n := int(uint32(slot)) - 1; string(s.keys[n]) == string(key) {
				return n, true
			}
		}
	}
}

// Find returns how many keys had been added before this one was, and false if it is not
// there.
func (s *KeySet) Find(key []byte) (first int, ok bool) {
	hash := maphash.Bytes(keySeed, key)
	mask := uint64(len(s.slots) - 1)
	for at := hash & mask; s.slots[at] != 0; at = (at + 1) & mask {
		if slot := s.slots[at]; slot>>32 == hash>>32 {
			if n := int(uint32(slot)) - 1; string(s.keys[n]) == string(key) {
				return n, true
			}
		}
	}
	return 0, false
}

func (s *KeySet) grow() {
	s.slots = cleared(nil, 2*len(s.slots))
	mask := uint64(len(s.slots) - 1)
	for i, key := range s.keys {
		hash := maphash.Bytes(keySeed, key)
		at := hash & mask
		for s.slots[at] != 0 {
			at = (at + 1) & mask
		}
		s.slots[at] = hash>>32<<32 | uint64(i+1)
	}
}
