package apply

import (
	"fmt"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/store"
	"github.com/sheafdb/sheaf/internal/wire"
)

// MaxDropsPerTick bounds the work of one Tick.
const MaxDropsPerTick = 4096

// applyTick drops what is due by the clock that the command has just advanced:
// expired keys and old rows. Expired keys were invisible before; this only
// frees their space.
func applyTick(state State, out *store.Mutations) (Result, error) {
	var result Result
	drops := 0
	for _, kind := range dueKinds {
		var failed error
		err := state.DueKeys([]byte{kind}, func(key []byte) bool {
			_, at, _ := splitDue(key)
			if at > out.Meta.NowMS {
				return false
			}
			if drops == MaxDropsPerTick {
				result.More = true
				return false
			}
			drops++
			failed = dropDue(out.Scratch(func(dst []byte) []byte { return append(dst, key...) }), state, out)
			return failed == nil
		})
		if err != nil {
			return Result{}, err
		}
		if failed != nil {
			return Result{}, failed
		}
	}
	return result, nil
}

// dropDue removes one element of the queue, and what it stands for unless that
// has been written again since.
func dropDue(element []byte, state State, out *store.Mutations) error {
	out.Delete(store.Due, element)
	kind, at, name := splitDue(element)
	switch kind {
	case dueKey:
		return dropKey(name, state, out)
	case dueReserved:
		return dropReservation(name, at, state, out)
	}
	return dropRow(kind, name, at, state, out)
}

// dropKey drops a key if it has expired. What an attempt holds stays as it was when it was
// prepared: it is looked at again later, by when the attempt may be decided.
func dropKey(key []byte, state State, out *store.Mutations) error {
	if out.Meta.Held > 0 {
		holder, held, err := heldBy(key, state)
		if err != nil {
			return err
		}
		if held && holder.Attempt != 0 {
			again := out.Meta.NowMS + laterMS
			out.Set(store.Due, out.Scratch(func(dst []byte) []byte { return appendDue(dst, dueKey, again, key) }), nil, nil)
			return nil
		}
	}
	data, ok, err := state.Get(store.Data, key)
	if err != nil || !ok {
		return err
	}
	record, err := wire.DecodeRecord(data)
	if err != nil {
		return fmt.Errorf("%w: key %q: %w", store.ErrCorrupt, key, err)
	}
	if !record.Live(out.Meta.NowMS) { // whichever element it is that says so
		out.Delete(store.Data, key)
		out.Meta.Floor = max(out.Meta.Floor, record.Version)
	}
	return nil
}

// dropReservation frees a key whose reader did not, unless it is held by another by now.
func dropReservation(key []byte, untilMS uint64, state State, out *store.Mutations) error {
	holder, held, err := heldBy(key, state)
	if err == nil && held && holder.Attempt == 0 && holder.UntilMS == untilMS {
		free(key, out)
	}
	return err
}

func dropRow(kind byte, id []byte, at uint64, state State, out *store.Mutations) error {
	row, known, err := lookup(string(id), state)
	switch {
	case err != nil:
		return err
	case !known || row.DueMS != at:
		return nil
	case len(row.Unfinished) > 0:
		// Home is asked about the attempt until all groups have resolved it.
		row.DueMS = out.Meta.NowMS + keepUnfinishedMS
		out.Set(store.Rows, id, nil, out.Scratch(row.Append))
		out.Set(store.Due, out.Scratch(func(dst []byte) []byte { return appendDue(dst, kind, row.DueMS, id) }), nil, nil)
		return nil
	}
	out.Delete(store.Rows, id)
	out.Meta.Rows--
	if issued, ok := sheaf.RequestID(id).IssueTime(); ok {
		// Its age refuses it now; with a longer retention, after a restart, only the
		// floor would.
		out.Meta.IDFloorMS = max(out.Meta.IDFloorMS, uint64(issued.UnixMilli()))
	}
	return nil
}
