// Package store defines what a group keeps its state in.
//
// A store is a view of the log, not a second source of truth: it has no log of
// its own, applies one log entry at a time with the entry's index in the same
// atomic step, and may lose its newest entries in a crash. What it never does
// is keep part of an entry, or an entry without the ones before it. After a
// crash the group reads Durable and applies the log from there again.
//
// There is one suite for all implementations, package storetest. They are
// store/pebble (on disk, the default) and store/memory (two tables).
package store

import (
	"errors"
	"fmt"
)

// Space separates the kinds of keys of a store. The numbers are on disk.
type Space byte

// The spaces.
const (
	// Data maps a user's key to its record (wire.Record).
	Data Space = 1
	// Rows maps a request ID to what became of it (wire.Row).
	Rows Space = 2
	// Due is a queue in the order of its keys' bytes; its values are empty.
	Due Space = 3
	// Attempts maps the name of an attempt to what it prepared (wire.Prepared).
	Attempts Space = 4
	// Held maps a key to who keeps writers off it (wire.Holder).
	Held Space = 5
	// Own is what the group keeps of itself, beside its Meta.
	Own Space = 6
)

// Meta is the state of a group beside its keys. It is written with every apply.
type Meta struct {
	// Index and Term are those of the last log entry applied.
	Index, Term uint64
	// NowMS is the group's clock: the largest time stamped into a command.
	NowMS uint64
	// Clock is the Lamport clock: the largest version given.
	Clock uint64
	// Floor is the largest version of any key removed; an absent key answers it.
	Floor uint64
	// Rows counts the request IDs remembered.
	Rows uint64
	// Held counts the keys that someone keeps writers off.
	Held uint64
	// IDFloorMS: request IDs issued at or before this are refused as expired.
	IDFloorMS uint64
}

// Op sets or deletes one key. The value set is Head followed by Value, in two
// parts so that a large value need not be copied behind its head.
type Op struct {
	Space  Space
	Delete bool
	Key    []byte
	Head   []byte
	Value  []byte
}

// Mutations is what one log entry does to a store. No key occurs in two ops.
type Mutations struct {
	Meta Meta
	Ops  []Op

	scratch []byte
}

// Reset empties m for the next log entry and keeps its memory.
func (m *Mutations) Reset() {
	clear(m.Ops)
	m.Ops = m.Ops[:0]
	if m.scratch = m.scratch[:0]; cap(m.scratch) > maxKept {
		m.scratch = nil
	}
}

// maxKept bounds the memory that Reset keeps for what Scratch makes.
const maxKept = 4 << 20

// Set adds an op that sets key to head followed by value. It keeps the slices.
func (m *Mutations) Set(space Space, key, head, value []byte) {
	m.Ops = append(m.Ops, Op{Space: space, Key: key, Head: head, Value: value})
}

// Delete adds an op that deletes key. It keeps the slice.
func (m *Mutations) Delete(space Space, key []byte) {
	m.Ops = append(m.Ops, Op{Space: space, Delete: true, Key: key})
}

// Scratch hands what append writes into m's own memory, where it stays valid
// until Reset: for heads and keys that are made for one op.
func (m *Mutations) Scratch(write func(dst []byte) []byte) []byte {
	start := len(m.scratch)
	m.scratch = write(m.scratch)
	return m.scratch[start:len(m.scratch):len(m.scratch)]
}

// Store is a group's state. One goroutine calls Apply; every other method may
// be called from any goroutine, at the same time.
type Store interface {
	// Apply executes m atomically: a View sees all of it or none, and so does
	// whoever opens the store after a crash. m.Meta.Index must be larger than
	// any before. It keeps no slice of m after it returns. After an error the
	// store must not be used again: the caller ends the process.
	Apply(m *Mutations) error

	// View returns the state as of one instant. The caller must Close it soon:
	// a view may hold up Apply (the hash tables) or keep files (Pebble).
	View() View

	// Scan returns the keys of Data that begin with prefix and are not below
	// start, in the order of their bytes, and the Meta at which the scan began.
	// Every entry is at least as new as that. A hash table first copies and
	// sorts its keys; the cursor never holds up Apply.
	Scan(prefix, start []byte) (Cursor, Meta, error)

	// Durable returns the Meta.Index up to which everything survives a power
	// cut without the log.
	Durable() uint64

	// Flush makes what was applied before the call durable and returns the new
	// Durable. It may take long and does not hold up Apply.
	Flush() (uint64, error)

	// FlushBytes returns how much free disk a Flush may need, beside as much as
	// the log holds of what is not durable.
	FlushBytes() int64

	// Copy makes the directory dir and in it a store of the same kind with a state of
	// this one, which is at least what was applied before the call, durably; Open opens
	// it. It may take long and does not hold up Apply. After an error dir may be there.
	Copy(dir string) (Copied, error)

	// Image opens what can take the state of one instant, to be walked. Where a Flush
	// writes the whole state it waits for one, and for a Copy, and the next of either waits
	// for the image's Park or Close.
	Image() (Image, error)

	// Close releases files and memory. It does not flush. Views, cursors and images must
	// be closed before.
	Close() error
}

// Image is the state of one instant, while Apply goes on. Its methods are called one after
// the other, in their order here; Park may be left out. It must be closed.
type Image interface {
	// Take makes it the state of an instant during the call, and is quick.
	Take() (Taken, error)
	// Park has what is in memory for the image alone written below the new directory dir,
	// which is the caller's to remove after Close. What is on disk stays there: a store on
	// disk writes nothing and keeps what Take found in its bounded memory, and old versions
	// of keys on the disk.
	Park(dir string) error
	// Walk calls visit with all records, in any order, until it returns an error. Key and
	// value are valid during the call. It is called once.
	Walk(visit func(space Space, key, value []byte) error) error
	// Close releases the image, also one that took nothing.
	Close() error
}

// Taken says what an image has: its Meta, all of the space Own, and how many attempts.
type Taken struct {
	Meta     Meta
	Own      map[string][]byte
	Attempts int
}

// Copied says what is in a copy: its Meta, and all of the space Own.
type Copied struct {
	Meta Meta
	Own  map[string][]byte
}

// View is one consistent state of a store. It is not safe for concurrent use.
type View interface {
	// Meta is the state's Meta; all zero in an empty store.
	Meta() Meta
	// Get returns the value of key. The value is valid until Close and must
	// not be changed.
	Get(space Space, key []byte) (value []byte, ok bool, err error)
	// DueKeys calls visit with the keys of space Due that begin with prefix, in
	// the order of their bytes, until visit returns false. A key is valid
	// during the call.
	DueKeys(prefix []byte, visit func(key []byte) bool) error
	// Close releases the view.
	Close() error
}

// Cursor walks keys in order. It is not safe for concurrent use.
type Cursor interface {
	// Next moves to the next key, the first time to the first; false at the end
	// or on an error.
	Next() bool
	// Key and Value are valid until Next or Close.
	Key() []byte
	Value() []byte
	// Err is the error that ended the walk, or nil.
	Err() error
	Close() error
}

// ErrCorrupt is in the chain of every error that means damaged files.
var ErrCorrupt = errors.New("store is damaged")

// Corruptf returns an error about a damaged file. What to do depends on whether there are other nodes,
// so it is for the node to say.
func Corruptf(file, format string, args ...any) error {
	return fmt.Errorf("%w: %s: %s", ErrCorrupt, file, fmt.Sprintf(format, args...))
}
