package apply

import (
	"bytes"
	"fmt"

	"github.com/sheafdb/sheaf/internal/store"
	"github.com/sheafdb/sheaf/internal/wire"
)

// A key is held by an attempt that has prepared it, or by a reader that reserved it: no
// other may write it. Invariants:
//
//   - All keys of an attempt's part are held, from Prepare to Resolve (in the home group
//     to Decide), or none.
//   - While an attempt holds a key, the key expires by the clock of when it was prepared:
//     what its conditions saw stays true until it is decided.
//   - Only the group's own clock or its reader ends a reservation, and nothing but home's
//     decision an attempt. A reservation that is over counts as held until a Tick.

// holderOf returns who keeps cmd off one of its keys.
func holderOf(cmd *wire.Command, state State, meta store.Meta) (wire.Holder, bool, error) {
	if meta.Held == 0 { // most of the time: no key is looked up
		return wire.Holder{}, false, nil
	}
	for _, entry := range cmd.Entries.All() {
		holder, held, err := heldBy(entry.Key, state)
		if err != nil {
			return wire.Holder{}, false, err
		}
		if held && (holder.Attempt != 0 || holder.UntilMS > meta.NowMS) {
			return withHome(holder, state)
		}
	}
	return wire.Holder{}, false, nil
}

// heldBy reads who holds a key. A reservation may be over.
func heldBy(key []byte, state State) (wire.Holder, bool, error) {
	data, ok, err := state.Get(store.Held, key)
	if err != nil || !ok {
		return wire.Holder{}, false, err
	}
	holder, err := wire.DecodeHolder(data)
	if err != nil {
		return wire.Holder{}, false, fmt.Errorf("%w: key %q: %w", store.ErrCorrupt, key, err)
	}
	return holder, true, nil
}

// withHome adds where an attempt is decided.
func withHome(holder wire.Holder, state State) (wire.Holder, bool, error) {
	if holder.Attempt == 0 {
		return holder, true, nil
	}
	part, err := partOf(holder, state)
	return homeOf(holder, part), true, err
}

func homeOf(holder wire.Holder, part wire.Prepared) wire.Holder {
	holder.HomeKey = bytes.Clone(part.HomeKey)
	holder.DeadlineMS, holder.RetentionMS = part.DeadlineMS, part.RetentionMS
	return holder
}

// partOf is attemptOf for an attempt that holds a key.
func partOf(holder wire.Holder, state State) (wire.Prepared, error) {
	part, ok, err := attemptOf(holder.RequestID, holder.Attempt, state)
	if err == nil && !ok {
		err = fmt.Errorf("%w: a key is held by an attempt of %q that is not there", store.ErrCorrupt, holder.RequestID)
	}
	return part, err
}

// attemptOf returns what an attempt has prepared here. It views the state's data.
func attemptOf(requestID string, attempt uint64, state State) (wire.Prepared, bool, error) {
	data, ok, err := state.Get(store.Attempts, wire.AppendAttempt(nil, requestID, attempt))
	if err != nil || !ok {
		return wire.Prepared{}, false, err
	}
	part, err := wire.DecodePrepared(data)
	if err != nil {
		return wire.Prepared{}, false, fmt.Errorf("%w: attempt %d of %q: %w", store.ErrCorrupt, attempt, requestID, err)
	}
	return part, true, nil
}

// hold takes a key that nobody holds any more.
func hold(key []byte, holder wire.Holder, state State, out *store.Mutations) error {
	_, was, err := heldBy(key, state) // a reservation that is over
	if err != nil {
		return err
	}
	if !was {
		out.Meta.Held++
	}
	out.Set(store.Held, key, nil, out.Scratch(holder.Append))
	return nil
}

// free lets go of a key.
func free(key []byte, out *store.Mutations) {
	out.Delete(store.Held, key)
	out.Meta.Held--
}
