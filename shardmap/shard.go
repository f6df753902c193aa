package shardmap

import (
	"bytes"
	"encoding/binary"
	"sync"
)

// shard is one part of the map: a table of slots and the arena of its records.
//
// A slot is a tag (32 bits of the key's hash) and a record's address, 0 when it is
// empty. The tag alone says where the search for a key begins, by multiplication
// instead of a mask: so the table may grow by half, and is filled anew without looking
// at a key. Tables are searched linearly; a removed slot is filled from behind.
type shard struct {
	mu    sync.RWMutex
	slots []uint64
	count int
	most  int // of count before the table grows
	// loadPercent differs from shard to shard, so that not all grow at once.
	loadPercent int
	arena       arena
	_           [cacheLineBytes]byte
}

// touchBytes is how much a shard must hold for touch to pay: with less, the map is a few
// times as large as a processor's own cache.
const touchBytes = 32 << 10

// touch reads the slots that the keys will begin at, the records there and the keys.
// None of these loads waits for another, so the memory serves many at once; those of put
// would come one after the other. The sum keeps them from being optimised away.
func (s *shard) touch(entries []BytesEntry, hashes []uint64, mine []uint32) (sum uint64) {
	if s.arena.live < touchBytes {
		return 0 // it is in the processor's caches, or will be after the first batches
	}
	const group = 32
	var words [group]uint64
	for len(mine) > 0 {
		n := min(group, len(mine))
		for i, at := range mine[:n] {
			words[i] = s.slots[s.home(uint32(hashes[at]))]
			if key := entries[at].Key; len(key) > 0 {
				sum += uint64(key[0])
			}
		}
		for _, word := range words[:n] {
			if word != 0 {
				sum += uint64(s.arena.at(uint32(word))[0])
			}
		}
		mine = mine[n:]
	}
	return sum
}

func (s *shard) each(visit func(key, value []byte) bool) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, word := range s.slots {
		if word == 0 {
			continue
		}
		if rec := s.arena.at(uint32(word)); !visit(rec.key(), rec.value()) {
			return false
		}
	}
	return true
}

// home is where the search for a tag begins.
func (s *shard) home(tag uint32) int { return int(uint64(tag) * uint64(len(s.slots)) >> 32) }

// find returns the slot of a key, -1 if it is not there.
func (s *shard) find(hash uint64, key []byte) int {
	if s.count == 0 {
		return -1
	}
	tag := uint32(hash)
	for i := s.home(tag); ; i = s.next(i) {
		word := s.slots[i]
		if word == 0 {
			return -1
		}
		if uint32(word>>32) == tag && bytes.Equal(s.arena.at(uint32(word)).key(), key) {
			return i
		}
	}
}

func (s *shard) next(i int) int {
	if i++; i == len(s.slots) {
		return 0
	}
	return i
}

// replace overwrites the value of a key whose record has the same lengths: the usual case
// of a key that is there. It says the same as find and overwrite in one look at the
// record's head.
func (s *shard) replace(hash uint64, key, prefix, value []byte) bool {
	n := len(prefix) + len(value)
	if s.count == 0 || len(key) > maxShortKey || n > maxShortValue {
		return false
	}
	head := shortHead(len(key), n)
	tag := uint32(hash)
	for i := s.home(tag); s.slots[i] != 0; i = s.next(i) {
		word := s.slots[i]
		if uint32(word>>32) != tag {
			continue
		}
		rec := s.arena.at(uint32(word))
		if binary.LittleEndian.Uint32(rec) != head || string(rec[wordBytes:wordBytes+len(key)]) != string(key) {
			continue
		}
		if s.arena.keeps(uint32(word)) {
			return false
		}
		room := rec[wordBytes+len(key):][:n]
		copy(room[copy(room, prefix):], value)
		return true
	}
	return false
}

func (s *shard) put(hash uint64, key, prefix, value []byte) {
	if s.replace(hash, key, prefix, value) {
		return
	}
	if i := s.find(hash, key); i >= 0 {
		if s.arena.overwrite(uint32(s.slots[i]), len(key), prefix, value) {
			return
		}
		old := uint32(s.slots[i])
		s.slots[i] = uint64(uint32(hash))<<32 | uint64(s.arena.add(key, prefix, value))
		s.arena.kill(old)
		return
	}
	if s.count >= s.most {
		s.resize(max(firstSlots, len(s.slots)*3/2))
	}
	s.insert(uint64(uint32(hash))<<32 | uint64(s.arena.add(key, prefix, value)))
	s.count++
}

// firstSlots is the size of a shard's first table.
const firstSlots = 8

// insert puts a slot that is not there into the table.
func (s *shard) insert(word uint64) {
	i := s.home(uint32(word >> 32))
	for s.slots[i] != 0 {
		i = s.next(i)
	}
	s.slots[i] = word
}

func (s *shard) resize(slots int) {
	old := s.slots
	s.slots = s.arena.memory.slots(slots)
	s.most = slots * s.loadPercent / 100
	for _, word := range old {
		if word != 0 {
			s.insert(word)
		}
	}
	s.arena.memory.freeSlots(old)
}

func (s *shard) remove(hash uint64, key []byte) bool {
	i := s.find(hash, key)
	if i < 0 {
		return false
	}
	s.arena.kill(uint32(s.slots[i]))
	s.count--
	// Close the gap: move up what could not stand where it wanted to because of it.
	for j := s.next(i); s.slots[j] != 0; j = s.next(j) {
		home := s.home(uint32(s.slots[j] >> 32))
		if stays := i < j && i < home && home <= j || j < i && (home <= j || i < home); !stays {
			s.slots[i] = s.slots[j]
			i = j
		}
	}
	s.slots[i] = 0
	return true
}

// move says that a record has another address. It is called for live records only.
func (s *shard) move(hash uint64, from, to uint32) {
	tag := uint32(hash)
	for i := s.home(tag); ; i = s.next(i) {
		if s.slots[i] == uint64(tag)<<32|uint64(from) {
			s.slots[i] = uint64(tag)<<32 | uint64(to)
			return
		}
	}
}
