package pebble

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/sheafdb/sheaf/internal/store"
)

// sorter puts the records of a run in the order of their keys on disk: the space,
// then the key's bytes. It keeps its memory from run to run.
type sorter struct{ items []sortItem }

// sortItem has the first eight bytes of a key after what all keys of its space have in
// common, so that most comparisons need not look at the record.
type sortItem struct {
	prefix  uint64
	address uint32
	space   store.Space
}

// sort returns the newest record of every key. The result is valid until the next call.
func (s *sorter) sort(r *run) []sortItem {
	s.items = slices.Grow(s.items[:0], r.count)
	var common [store.Own + 1][]byte
	var seen [store.Own + 1]bool
	r.eachInOrder(func(address uint32, rec record) {
		space := rec.space()
		s.items = append(s.items, sortItem{address: address, space: space})
		if !seen[space] {
			seen[space], common[space] = true, rec.key()
		} else {
			common[space] = common[space][:commonLen(common[space], rec.key())]
		}
	})
	for i := range s.items {
		item := &s.items[i]
		item.prefix = prefixOf(r.at(item.address).key()[len(common[item.space]):])
	}
	slices.SortFunc(s.items, func(a, b sortItem) int {
		if a.space != b.space {
			return cmp.Compare(a.space, b.space)
		}
		if a.prefix != b.prefix {
			return cmp.Compare(a.prefix, b.prefix)
		}
		return bytes.Compare(r.at(a.address).key(), r.at(b.address).key())
	})
	return s.items
}

func commonLen(a, b []byte) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// prefixOf is the first eight bytes as a number in their order; what is missing counts
// as zeros, and a tie is settled by the whole keys.
func prefixOf(key []byte) uint64 {
	if len(key) >= 8 {
		return binary.BigEndian.Uint64(key)
	}
	var padded [8]byte
	copy(padded[:], key)
	return binary.BigEndian.Uint64(padded[:])
}
