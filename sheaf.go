// Package sheaf holds the nouns that every part of Sheaf shares, and nothing
// else: entries, consistency levels, limits, request IDs and the error table.
// It depends on the standard library alone, so that a program may name a
// [Code] or build an [Entry] without linking a server or a client.
//
// To talk to a node, use package client.
package sheaf

import (
	"fmt"
	"strings"
	"time"
)

// Consistency is the level of one request. The zero value is Linearizable.
type Consistency uint8

// The levels; docs/guarantees.md says what each promises and what it may lose.
const (
	// Linearizable writes are all or nothing and visible at one instant;
	// linearizable reads are current.
	Linearizable Consistency = iota
	// Sequential keeps each group's part atomic and in log order, and never
	// answers with less than the session has seen.
	Sequential
	// Eventual writes are accepted into a bounded queue, which a crash of the
	// receiving node can lose.
	Eventual
)

var consistencyNames = [...]string{"linearizable", "sequential", "eventual"}

// String is the lower-case name used in JSON and on the command line.
func (c Consistency) String() string {
	if int(c) < len(consistencyNames) {
		return consistencyNames[c]
	}
	return fmt.Sprintf("consistency(%d)", uint8(c))
}

// ParseConsistency reads a level's name, in any case; the empty string is
// Linearizable.
func ParseConsistency(name string) (Consistency, error) {
	if name == "" {
		return Linearizable, nil
	}
	for i, known := range consistencyNames {
		if strings.EqualFold(name, known) {
			return Consistency(i), nil
		}
	}
	return 0, fmt.Errorf("unknown consistency %q: use linearizable, sequential or eventual", name)
}

// Entry is one put or one delete of a batch.
type Entry struct {
	// Key is 1 to 4096 bytes and unique within its batch.
	Key []byte
	// Value is at most 16 MiB, and empty when Delete is set.
	Value []byte
	// Delete removes the key; removing a key that is not there succeeds.
	Delete bool
	// TTL is how long the key lives, in whole milliseconds; 0 is for ever.
	TTL time.Duration
	// TypeURL, when set, says that Value is the payload of a
	// google.protobuf.Any of this type.
	TypeURL string
	// IfVersion, when set, refuses the whole batch unless the key has exactly
	// this version; 0 means that the key must not exist.
	IfVersion *uint64
}

// Put returns an entry that sets key to value. It keeps no copy of a []byte.
func Put[K, V ~string | ~[]byte](key K, value V) Entry {
	return Entry{Key: []byte(key), Value: []byte(value)}
}

// Delete returns an entry that removes key. It keeps no copy of a []byte.
func Delete[K ~string | ~[]byte](key K) Entry {
	return Entry{Key: []byte(key), Delete: true}
}

// WithTTL returns e with a time to live.
func (e Entry) WithTTL(ttl time.Duration) Entry {
	e.TTL = ttl
	return e
}

// OnlyIfVersion returns e with the condition that its key has this version; 0
// means that the key must not exist.
func (e Entry) OnlyIfVersion(version uint64) Entry {
	e.IfVersion = &version
	return e
}

// Item is what a read says of one key.
type Item struct {
	Key     []byte
	Value   []byte
	TypeURL string
	// Version is that of the batch that wrote the key; 0 when not Found.
	Version uint64
	// Found is false when the key is absent, deleted or expired.
	Found bool
}

// ETag is an opaque digest of a set of keys with their versions, in the quoted
// form of RFC 9110. Two reads of the same keys have the same ETag exactly when
// no key has changed between them.
type ETag string
