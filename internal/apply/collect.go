package apply

import (
	"bytes"
	"fmt"

	"github.com/sheafdb/sheaf/internal/store"
	"github.com/sheafdb/sheaf/internal/wire"
)

// Seen is what a reader finds under a key, with memory of its own.
type Seen struct {
	// Version is the key's, or the group's floor if there is no such key. Live says
	// whether it can be read.
	Version uint64
	Live    bool
	// Value and TypeURL of a live key, if they were asked for.
	Value, TypeURL []byte
	// Intent is what an attempt would make of the key, nil if none holds it.
	Intent *Intent
}

// Intent is an entry that is prepared under a key.
type Intent struct {
	Holder wire.Holder
	// LowerBound: it will have at least this version.
	LowerBound uint64
	// Live: it puts Value, of type TypeURL if that is set; otherwise it deletes the key.
	Live           bool
	Value, TypeURL []byte
	// ClockMS is the group's clock.
	ClockMS uint64
}

// Collect reads keys as of one state; values says whether it reads more than versions. The
// caller's clock, nowMS, makes a key expire on an idle group too; never one that an attempt
// holds. hold is asked before so many bytes are copied, and its error ends it.
func Collect(keys [][]byte, values bool, nowMS uint64, state State, hold func(bytes int) error) ([]Seen, error) {
	c := collector{state: state, meta: state.Meta(), values: values, hold: hold}
	c.meta.NowMS = max(c.meta.NowMS, nowMS)
	seen := make([]Seen, len(keys))
	for i, key := range keys {
		if err := c.collect(key, &seen[i]); err != nil {
			return nil, err
		}
	}
	return seen, nil
}

// collector is one Collect.
type collector struct {
	state  State
	meta   store.Meta
	values bool
	hold   func(bytes int) error
	parts  map[attemptName]*foundPart
}

type attemptName struct {
	requestID string
	attempt   uint64
}

// foundPart is what an attempt has prepared, read once for all its keys.
type foundPart struct {
	holder               wire.Holder
	lowerBound, frozenMS uint64
	entries              map[string]wire.Entry
}

func (c *collector) collect(key []byte, seen *Seen) error {
	clock := c.meta.NowMS
	if c.meta.Held > 0 {
		holder, held, err := heldBy(key, c.state)
		if err != nil {
			return err
		}
		if held && holder.Attempt != 0 {
			if seen.Intent, clock, err = c.intentOn(key, holder); err == nil {
				err = c.hold(len(seen.Intent.Value))
			}
			if err != nil {
				return err
			}
		}
	}
	seen.Version = c.meta.Floor
	data, ok, err := c.state.Get(store.Data, key)
	if err != nil || !ok {
		return err
	}
	record, err := wire.DecodeRecord(data)
	if err != nil {
		return fmt.Errorf("%w: key %q: %w", store.ErrCorrupt, key, err)
	}
	seen.Version, seen.Live = record.Version, record.Live(clock)
	if !c.values || !seen.Live {
		return nil
	}
	seen.Value, seen.TypeURL = bytes.Clone(record.Value), bytes.Clone(record.TypeURL)
	return c.hold(len(record.Value))
}

// intentOn returns what an attempt that holds a key has prepared for it, and the clock that
// the key expires by.
func (c *collector) intentOn(key []byte, holder wire.Holder) (*Intent, uint64, error) {
	part, err := c.partOf(holder)
	if err != nil {
		return nil, 0, err
	}
	intent := &Intent{Holder: part.holder, LowerBound: part.lowerBound, ClockMS: c.meta.NowMS}
	if entry, ok := part.entries[string(key)]; ok {
		intent.Live, intent.Value, intent.TypeURL = !entry.Delete, bytes.Clone(entry.Value), bytes.Clone(entry.TypeURL)
	}
	return intent, min(c.meta.NowMS, part.frozenMS), nil
}

// partOf reads what an attempt has prepared.
func (c *collector) partOf(holder wire.Holder) (*foundPart, error) {
	name := attemptName{holder.RequestID, holder.Attempt}
	if part := c.parts[name]; part != nil {
		return part, nil
	}
	prepared, err := partOf(holder, c.state)
	if err != nil {
		return nil, err
	}
	part := &foundPart{
		holder: homeOf(holder, prepared), lowerBound: prepared.LowerBound, frozenMS: prepared.FrozenMS,
		entries: make(map[string]wire.Entry, prepared.Entries.Len()),
	}
	for _, entry := range prepared.Entries.All() {
		part.entries[string(entry.Key)] = entry
	}
	if c.parts == nil {
		c.parts = make(map[attemptName]*foundPart)
	}
	c.parts[name] = part
	return part, nil
}
