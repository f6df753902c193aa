package pebble

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"github.com/google/btree"
	"github.com/zeebo/xxh3"

	"github.com/sheafdb/sheaf/internal/store"
)

// run is a piece of the state that Pebble does not have yet: what some consecutive
// log entries wrote, in a hash table whose records are never changed. One goroutine
// writes it, any number read it without a lock.
//
// A record is written into the arena first and then published by storing its address
// in a slot. A record that replaces another of the same key points back to it, so a
// reader that may see nothing younger than some log entry follows the chain until a
// record is old enough: that is how a view stays one instant while Apply goes on.
//
//	record = previous (4 bytes, an address, 0 is none) age (4 bytes)
//	         key length, space and whether it deletes (4 bytes) value length (4 bytes)
//	         key value, padded to a multiple of 8
//
// An address is an offset in the arena divided by 8. The age is the index of the log
// entry, counted from the run's first.
type run struct {
	first uint64 // index of the first log entry
	arena []byte
	used  int // bytes of the arena; the writer's
	count int // keys; the writer's
	table atomic.Pointer[table]
	// replaced has a bit for every address: set where a record is not the newest of its
	// key. The writer's; the drain reads it when the run is sealed.
	replaced []uint64

	// meta is the state's Meta after the run's last log entry. It is complete when
	// the run is sealed.
	meta store.Meta
	// refs counts the sets of runs that hold this one; the stage's lock guards it.
	refs int

	// due holds the keys of space Due that the run has records of, in order.
	dueMu sync.RWMutex
	due   *btree.BTreeG[string]
}

// table is the slots: a tag (32 bits of the key's hash) and an address, 0 when empty.
// The length is a power of two; a tag's low bits say where its search begins, so a
// larger table is filled without looking at keys.
type table struct{ slots []atomic.Uint64 }

const (
	recordHeadBytes = 16
	recordAlign     = 8
	// firstSlots is a new run's table: 512 KiB.
	firstSlots = 1 << 16

	flagDelete = 1 << 3
	spaceBits  = flagDelete - 1
	lengthBits = 4
)

// dueDegree is the B-tree's: nodes of about 1 KiB of string headers.
const dueDegree = 32

func newRun(arenaBytes int) *run {
	r := &run{
		arena: make([]byte, arenaBytes), used: recordAlign, // address 0 is no record
		replaced: make([]uint64, arenaBytes/recordAlign/64+1),
	}
	adviseHuge(r.arena)
	r.table.Store(&table{make([]atomic.Uint64, firstSlots)})
	r.due = btree.NewOrderedG[string](dueDegree)
	return r
}

// reset makes a run that nobody reads any more ready for other log entries.
func (r *run) reset() {
	clear(r.table.Load().slots)
	clear(r.replaced)
	r.due = btree.NewOrderedG[string](dueDegree)
	r.used, r.count, r.meta, r.first = recordAlign, 0, store.Meta{}, 0
}

// recordBytes is what an op takes of an arena.
func recordBytes(op *store.Op) int {
	return align(recordHeadBytes + len(op.Key) + len(op.Head) + len(op.Value))
}

func align(n int) int { return (n + recordAlign - 1) &^ (recordAlign - 1) }

// empty says that no log entry was written: one without ops still has a Meta.
func (r *run) empty() bool { return r.first == 0 }

func (r *run) fits(size int) bool { return r.used+size <= len(r.arena) }

// write adds what a log entry does. The caller has made sure that it fits.
func (r *run) write(m *store.Mutations, hashes []uint64) {
	if r.empty() {
		r.first = m.Meta.Index
	}
	age := uint32(m.Meta.Index - r.first)
	for i := range m.Ops {
		op := &m.Ops[i]
		address := r.put(op, age, hashes[i])
		if op.Space == store.Due {
			// A view of the arena, which outlives the tree.
			key := viewString(r.at(address).key())
			r.dueMu.Lock()
			r.due.ReplaceOrInsert(key)
			r.dueMu.Unlock()
		}
	}
}

// hashSeed is the process's own, so that nobody can choose keys that collide. The table
// is never on disk.
var hashSeed = rand.Uint64()

// hashOf is of the key within its space.
func hashOf(space store.Space, key []byte) uint64 { return xxh3.HashSeed(key, hashSeed^uint64(space)) }

// put writes a record and publishes it.
func (r *run) put(op *store.Op, age uint32, hash uint64) uint32 {
	slots := r.table.Load().slots
	if 2*(r.count+1) > len(slots) {
		slots = r.grow(slots)
	}
	tag := uint32(hash >> 32)
	mask := uint32(len(slots) - 1)
	at := tag & mask
	var previous uint32
	for {
		word := slots[at].Load()
		if word == 0 {
			r.count++
			break
		}
		if uint32(word>>32) == tag {
			if found := r.at(uint32(word)); found.is(op.Space, op.Key) {
				previous = uint32(word)
				r.replaced[previous/64] |= 1 << (previous % 64)
				break
			}
		}
		at = (at + 1) & mask
	}
	address := uint32(r.used / recordAlign)
	data := r.arena[r.used:]
	r.used += recordBytes(op)
	flags := uint32(op.Space)
	if op.Delete {
		flags |= flagDelete
	}
	binary.LittleEndian.PutUint32(data, previous)
	binary.LittleEndian.PutUint32(data[4:], age)
	binary.LittleEndian.PutUint32(data[8:], uint32(len(op.Key))<<lengthBits|flags)
	binary.LittleEndian.PutUint32(data[12:], uint32(len(op.Head)+len(op.Value)))
	n := recordHeadBytes
	n += copy(data[n:], op.Key)
	n += copy(data[n:], op.Head)
	copy(data[n:], op.Value)
	slots[at].Store(uint64(tag)<<32 | uint64(address))
	return address
}

// grow publishes a table of twice the size. Who still reads the old one misses only
// records that are younger than its view.
func (r *run) grow(old []atomic.Uint64) []atomic.Uint64 {
	slots := make([]atomic.Uint64, 2*len(old))
	mask := uint32(len(slots) - 1)
	for i := range old {
		word := old[i].Load()
		if word == 0 {
			continue
		}
		at := uint32(word>>32) & mask
		for slots[at].Load() != 0 {
			at = (at + 1) & mask
		}
		slots[at].Store(word)
	}
	r.table.Store(&table{slots})
	return slots
}

// find returns the record of a key as of a log entry. The record is valid as long as
// the run is held.
func (r *run) find(space store.Space, key []byte, hash, index uint64) (record, bool) {
	slots := r.table.Load().slots
	tag := uint32(hash >> 32)
	mask := uint32(len(slots) - 1)
	for at := tag & mask; ; at = (at + 1) & mask {
		word := slots[at].Load()
		if word == 0 {
			return record{}, false
		}
		if uint32(word>>32) != tag {
			continue
		}
		if newest := r.at(uint32(word)); newest.is(space, key) {
			return r.asOf(newest, index)
		}
	}
}

// asOf follows the chain of a key's records back to the youngest that a log entry
// had written.
func (r *run) asOf(rec record, index uint64) (record, bool) {
	for r.first+uint64(rec.age()) > index {
		previous := rec.previous()
		if previous == 0 {
			return record{}, false
		}
		rec = r.at(previous)
	}
	return rec, true
}

// each calls visit with the newest record of every key, in no order.
func (r *run) each(visit func(record)) {
	slots := r.table.Load().slots
	for i := range slots {
		if word := slots[i].Load(); word != 0 {
			visit(r.at(uint32(word)))
		}
	}
}

// eachInOrder calls visit with the newest record of every key of a sealed run, in the
// order in which they were written: one walk through memory from end to end.
func (r *run) eachInOrder(visit func(address uint32, rec record)) {
	for offset := recordAlign; offset < r.used; {
		address := uint32(offset / recordAlign)
		rec := r.at(address)
		if r.replaced[address/64]&(1<<(address%64)) == 0 {
			visit(address, rec)
		}
		offset += rec.bytes()
	}
}

// record is a view of one record and of what follows it in the arena.
type record []byte

func (r *run) at(address uint32) record { return r.arena[int(address)*recordAlign:] }

func (rec record) previous() uint32 { return binary.LittleEndian.Uint32(rec) }
func (rec record) age() uint32      { return binary.LittleEndian.Uint32(rec[4:]) }
func (rec record) flags() uint32    { return binary.LittleEndian.Uint32(rec[8:]) }
func (rec record) deletes() bool    { return rec.flags()&flagDelete != 0 }

func (rec record) space() store.Space { return store.Space(rec.flags() & spaceBits) }

func (rec record) key() []byte {
	end := recordHeadBytes + int(rec.flags()>>lengthBits)
	return rec[recordHeadBytes:end:end]
}

func (rec record) value() []byte {
	begin := recordHeadBytes + int(rec.flags()>>lengthBits)
	end := begin + int(binary.LittleEndian.Uint32(rec[12:]))
	return rec[begin:end:end]
}

// bytes is what the record takes of the arena.
func (rec record) bytes() int {
	return align(recordHeadBytes + int(rec.flags()>>lengthBits) + int(binary.LittleEndian.Uint32(rec[12:])))
}

func (rec record) is(space store.Space, key []byte) bool {
	return rec.space() == space && bytes.Equal(rec.key(), key)
}
