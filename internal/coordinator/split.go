package coordinator

import (
	"bytes"

	"github.com/sheafdb/sheaf/internal/wire"
)

// Part is what a batch has in one group.
type Part struct {
	Group   uint64
	Entries wire.Entries
	// Key is one of its keys.
	Key []byte
}

// Split makes the groups' shares of a batch. They have bytes of their own, unless one group
// has all of it.
func Split(entries wire.Entries, groupOf func(key []byte) uint64) []Part {
	if part, whole := undivided(entries, groupOf); whole {
		return []Part{part}
	}
	shares := entries.Divide(groupOf)
	parts := make([]Part, len(shares))
	for i, share := range shares {
		parts[i] = Part{Group: share.Number, Entries: share.Entries}
		for _, entry := range share.Entries.All() {
			parts[i].Key = entry.Key
			break
		}
	}
	return parts
}

// undivided looks whether one group has all of a batch.
func undivided(entries wire.Entries, groupOf func(key []byte) uint64) (part Part, whole bool) {
	for _, entry := range entries.All() {
		switch group := groupOf(entry.Key); {
		case part.Group == 0:
			part = Part{Group: group, Entries: entries, Key: entry.Key}
		case group != part.Group:
			return Part{}, false
		}
	}
	return part, true
}

// firstKey returns the first of a batch's keys in sorted order.
func firstKey(entries wire.Entries) (first []byte) {
	for _, entry := range entries.All() {
		if first == nil || bytes.Compare(entry.Key, first) < 0 {
			first = entry.Key
		}
	}
	return first
}
