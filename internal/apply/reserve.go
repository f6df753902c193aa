package apply

import (
	"github.com/sheafdb/sheaf/internal/store"
	"github.com/sheafdb/sheaf/internal/wire"
)

// applyReserve keeps new writers off a reader's keys until a time. What attempts hold
// already stays theirs. A reservation proves nothing: the reader still reads twice. One whose
// reader does not end it is removed by a Tick.
//
// A reader who has seen a version, perhaps in another group, brings it along: what is written
// here afterwards is above it.
func applyReserve(cmd *wire.Command, state State, out *store.Mutations) (Result, error) {
	if refusal := CheckAfter(cmd.Version, out.Meta.Clock); refusal != nil {
		return refuse(refusal)
	}
	out.Meta.Clock = max(out.Meta.Clock, cmd.Version)
	if cmd.DeadlineMS <= out.Meta.NowMS { // it is over
		return Result{}, nil
	}
	holder := wire.Holder{RequestID: cmd.RequestID, UntilMS: cmd.DeadlineMS}
	for _, key := range cmd.Keys {
		was, held, err := heldBy(key, state)
		if err != nil {
			return Result{}, err
		}
		if held && (was.Attempt != 0 || was.UntilMS > out.Meta.NowMS) {
			continue
		}
		if err := hold(key, holder, state, out); err != nil {
			return Result{}, err
		}
		out.Set(store.Due, reservedDue(key, holder.UntilMS, out), nil, nil)
	}
	return Result{}, nil
}

// applyUnreserve ends what is left of a reservation.
func applyUnreserve(cmd *wire.Command, state State, out *store.Mutations) (Result, error) {
	for _, key := range cmd.Keys {
		was, held, err := heldBy(key, state)
		if err != nil {
			return Result{}, err
		}
		if held && was.Attempt == 0 && was.RequestID == cmd.RequestID {
			free(key, out)
			out.Delete(store.Due, reservedDue(key, was.UntilMS, out))
		}
	}
	return Result{}, nil
}

// reservedDue is the element of the queue for a reservation.
func reservedDue(key []byte, untilMS uint64, out *store.Mutations) []byte {
	return out.Scratch(func(dst []byte) []byte { return appendDue(dst, dueReserved, untilMS, key) })
}
