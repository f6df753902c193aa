// Package router says which group has a key. It is pure, and all nodes must agree: what it
// says of a key is part of the format of the data.
//
// A key's group comes from the hash of its tag: what stands between the first '{' and the
// next '}' behind it, if that is not empty, and otherwise the whole key. Keys with one tag
// are in one group, so that a batch of them needs no other.
package router

import (
	"bytes"
	"math/bits"

	"github.com/zeebo/xxh3"
)

// MaxGroups bounds the groups of a cluster: each has a store of its own on every node.
const MaxGroups = 16

// Table is how the space of hashes is divided: into as many equal pieces as there are groups,
// of which group n, counted from 1, has the n-th.
type Table struct{ groups uint64 }

// Equal returns the table of so many groups, at least one.
func Equal(groups int) Table { return Table{uint64(max(groups, 1))} }

// GroupOf returns the number of a key's group.
func (t Table) GroupOf(key []byte) uint64 {
	if t.groups == 1 {
		return 1
	}
	piece, _ := bits.Mul64(xxh3.Hash(tag(key)), t.groups)
	return 1 + piece
}

// tag is the part of a key that its group comes from.
func tag(key []byte) []byte {
	from := bytes.IndexByte(key, '{')
	if from < 0 {
		return key
	}
	length := bytes.IndexByte(key[from+1:], '}')
	if length <= 0 {
		return key
	}
	return key[from+1 : from+1+length]
}
