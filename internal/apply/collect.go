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
	meta := state.Meta()
	meta.NowMS = max(meta.NowMS, nowMS)
	seen := make([]Seen, len(keys))
	for i, key := range keys {
		if err := collect(key, values, meta, state, hold, &seen[i]); err != nil {
			return nil, err
		}
	}
	return seen, nil
}

func collect(key []byte, values bool, meta store.Meta, state State, hold func(bytes int) error, seen *Seen) error {
	clock := meta.NowMS
	if meta.Held > 0 {
		holder, held, err := heldBy(key, state)
		if err != nil {
			return err
		}
		if held && holder.Attempt != 0 {
			if seen.Intent, clock, err = intentOn(key, holder, meta.NowMS, state); err == nil {
				err = hold(len(seen.Intent.Value))
			}
			if err != nil {
				return err
			}
		}
	}
	seen.Version = meta.Floor
	data, ok, err := state.Get(store.Data, key)
	if err != nil || !ok {
		return err
	}
	record, err := wire.DecodeRecord(data)
	if err != nil {
		return fmt.Errorf("%w: key %q: %w", store.ErrCorrupt, key, err)
	}
	seen.Version, seen.Live = record.Version, record.Live(clock)
	if !values || !seen.Live {
		return nil
	}
	seen.Value, seen.TypeURL = bytes.Clone(record.Value), bytes.Clone(record.TypeURL)
	return hold(len(record.Value))
}

// intentOn returns what an attempt that holds a key has prepared for it, and the clock that
// the key expires by.
func intentOn(key []byte, holder wire.Holder, nowMS uint64, state State) (*Intent, uint64, error) {
	holder, _, err := withHome(holder, state)
	if err != nil {
		return nil, 0, err
	}
	part, _, err := attemptOf(holder.RequestID, holder.Attempt, state)
	if err != nil {
		return nil, 0, err
	}
	intent := &Intent{Holder: holder, LowerBound: part.LowerBound, ClockMS: nowMS}
	for _, entry := range part.Entries.All() {
		if bytes.Equal(entry.Key, key) {
			intent.Live, intent.Value, intent.TypeURL = !entry.Delete, bytes.Clone(entry.Value), bytes.Clone(entry.TypeURL)
		}
	}
	return intent, min(nowMS, part.FrozenMS), nil
}
