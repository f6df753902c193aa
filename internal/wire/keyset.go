package wire

import (
	"sync"

	"github.com/zeebo/xxh3"
)

// KeySet finds keys that are named twice. It is an open-addressing table of
// positions, and pooled, so that a batch of a thousand keys costs no
// allocation. It keeps the keys it is given until Release.
type KeySet struct {
	slots []keySlot
	keys  [][]byte
}

type keySlot struct {
	hash uint64
	at   int32 // position in keys plus one; 0 is an empty slot
}

// maxPooledSlots bounds what a released KeySet keeps: a few hundred KiB.
const maxPooledSlots = 1 << 14

var keySets = sync.Pool{New: func() any { return &KeySet{slots: make([]keySlot, 64)} }}

// NewKeySet returns an empty set. The caller must Release it.
func NewKeySet() *KeySet { return keySets.Get().(*KeySet) }

// Release empties the set and gives it back; it must not be used afterwards.
func (s *KeySet) Release() {
	if len(s.slots) > maxPooledSlots {
		s.slots, s.keys = make([]keySlot, 64), nil
	}
	clear(s.slots)
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
	hash := xxh3.Hash(key)
	mask := uint64(len(s.slots) - 1)
	for at := hash & mask; ; at = (at + 1) & mask {
		slot := &s.slots[at]
		if slot.at == 0 {
			s.keys = append(s.keys, key)
			*slot = keySlot{hash, int32(len(s.keys))}
			return 0, false
		}
		if slot.hash == hash && string(s.keys[slot.at-1]) == string(key) {
			return int(slot.at - 1), true
		}
	}
}

func (s *KeySet) grow() {
	old := s.slots
	s.slots = make([]keySlot, 2*len(old))
	mask := uint64(len(s.slots) - 1)
	for _, slot := range old {
		if slot.at == 0 {
			continue
		}
		at := slot.hash & mask
		for s.slots[at].at != 0 {
			at = (at + 1) & mask
		}
		s.slots[at] = slot
	}
}
