package shardmap

import "encoding/binary"

// record is a view of one record and what follows it in its chunk:
//
//	word (4 bytes) = value length (19 bits) key length (12 bits) dead (1 bit)
//	key value, padded to a multiple of 8
//
// A key or a value that is too long for the word has all ones for the value length, and
// the key's and the value's length (4 bytes each) behind the word.
type record []byte

const (
	recordAlign = 8
	wordBytes   = 4
	longBytes   = wordBytes + 8

	deadBit       = 1
	keyShift      = 1
	valueShift    = 13
	maxShortKey   = 1<<12 - 1
	maxShortValue = 1<<19 - 2
	longMark      = 1<<19 - 1
)

func align(n int) int { return (n + recordAlign - 1) &^ (recordAlign - 1) }

// headBytes is the length of what stands before the key.
func headBytes(key, value int) int {
	if key > maxShortKey || value > maxShortValue {
		return longBytes
	}
	return wordBytes
}

// recordBytes is what a record takes of an arena.
func recordBytes(key, value int) int { return align(headBytes(key, value) + key + value) }

// shortHead is the word of a live record with short lengths.
func shortHead(key, value int) uint32 { return uint32(value)<<valueShift | uint32(key)<<keyShift }

// setHead writes the lengths of a live record.
func (r record) setHead(key, value int) {
	if key > maxShortKey || value > maxShortValue {
		binary.LittleEndian.PutUint32(r, longMark<<valueShift)
		binary.LittleEndian.PutUint32(r[4:], uint32(key))
		binary.LittleEndian.PutUint32(r[8:], uint32(value))
		return
	}
	binary.LittleEndian.PutUint32(r, shortHead(key, value))
}

// lengths returns where the key begins and the lengths of key and value.
func (r record) lengths() (begin, key, value int) {
	word := binary.LittleEndian.Uint32(r)
	if word>>valueShift == longMark {
		return longBytes, int(binary.LittleEndian.Uint32(r[4:])), int(binary.LittleEndian.Uint32(r[8:]))
	}
	return wordBytes, int(word >> keyShift & maxShortKey), int(word >> valueShift)
}

func (r record) key() []byte {
	begin, key, _ := r.lengths()
	return r[begin : begin+key : begin+key]
}

func (r record) value() []byte {
	begin, key, value := r.lengths()
	begin += key
	return r[begin : begin+value : begin+value]
}

// size is what the record takes of the arena.
func (r record) size() int {
	begin, key, value := r.lengths()
	return align(begin + key + value)
}

func (r record) dead() bool { return r[0]&deadBit != 0 }
func (r record) setDead()   { r[0] |= deadBit }
