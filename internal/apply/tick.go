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
	kind, at, name := splitDue(element)
	if kind == dueKey && out.Meta.Held > 0 {
		// What an attempt holds stays as it was when it was prepared; the element is
		// looked at again when it is decided.
		if holder, held, err := heldBy(name, state); err != nil || held && holder.Attempt != 0 {
			return err
		}
	}
	out.Delete(store.Due, element)
	if kind != dueKey {
		row, known, err := lookup(string(name), state)
		if err == nil && known && row.DueMS == at && len(row.Unfinished) > 0 {
			// Home is asked about the attempt until all groups have resolved it.
			row.DueMS = out.Meta.NowMS + keepUnfinishedMS
			out.Set(store.Rows, name, nil, out.Scratch(row.Append))
			out.Set(store.Due, out.Scratch(func(dst []byte) []byte { return appendDue(dst, kind, row.DueMS, name) }), nil, nil)
			return nil
		}
		if err == nil && known && row.DueMS == at {
			out.Delete(store.Rows, name)
			out.Meta.Rows--
			if issued, ok := sheaf.RequestID(name).IssueTime(); ok {
				// Its age refuses it now; with a longer retention, after a
				// restart, only the floor would.
				out.Meta.IDFloorMS = max(out.Meta.IDFloorMS, uint64(issued.UnixMilli()))
			}
		}
		return err
	}
	data, ok, err := state.Get(store.Data, name)
	if err != nil || !ok {
		return err
	}
	record, err := wire.DecodeRecord(data)
	if err != nil {
		return fmt.Errorf("%w: key %q: %w", store.ErrCorrupt, name, err)
	}
	if record.ExpiryMS == at {
		out.Delete(store.Data, name)
		out.Meta.Floor = max(out.Meta.Floor, record.Version)
	}
	return nil
}
