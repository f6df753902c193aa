package apply

import (
	"bytes"
	"fmt"

	"github.com/sheafdb/sheaf/internal/store"
	"github.com/sheafdb/sheaf/internal/wire"
)

// A pause keeps new attempts of batches over several groups out of a group, so that a copy of
// all groups can be begun at a moment when no such batch is on its way. Those that are in the
// group already go on, and so do batches of one group. Invariants:
//
//   - While a pause lasts no Prepare takes keys.
//   - A pause has one name and one end, which is never moved: a group that is paused under
//     the same name and Began at two log entries was so at all between.
//   - It ends by the group's own clock, whatever became of who asked for it.

// PauseKey is where the state has the wire.Paused of the last Pause, in store.Own.
var PauseKey = []byte("pause")

// MaxPauseMS bounds a pause: writers wait for it.
const MaxPauseMS = 10_000

// lasts says whether a pause has not ended at the group's clock.
func lasts(p wire.Paused, meta store.Meta) bool { return p.ID != "" && meta.NowMS < p.UntilMS }

// pausedBy says whether new attempts are kept out.
func pausedBy(state State, meta store.Meta) (wire.Holder, bool, error) {
	pause, err := readPause(state)
	if err != nil || !lasts(pause, meta) {
		return wire.Holder{}, false, err
	}
	return wire.Holder{RequestID: pause.ID, UntilMS: pause.UntilMS, Paused: true}, true, nil
}

func readPause(state State) (wire.Paused, error) {
	data, _, err := state.Get(store.Own, PauseKey)
	if err != nil {
		return wire.Paused{}, err
	}
	pause, err := wire.DecodePaused(data)
	if err != nil {
		err = fmt.Errorf("%w: the group's pause: %w", store.ErrCorrupt, err)
	}
	return pause, err
}

// applyPause begins a pause, unless another lasts. The answer's Version is its Began, also if
// it lasts already.
func applyPause(cmd *wire.Command, state State, out *store.Mutations) (Result, error) {
	pause, err := readPause(state)
	if err != nil {
		return Result{}, err
	}
	switch {
	case !lasts(pause, out.Meta):
		pause = wire.Paused{ID: cmd.RequestID, Began: out.Meta.Index, UntilMS: out.Meta.NowMS + min(cmd.DeadlineMS, MaxPauseMS)}
		out.Set(store.Own, bytes.Clone(PauseKey), nil, pause.Append(nil))
	case pause.ID != cmd.RequestID:
		return Result{Outcome: Conflict, Holder: wire.Holder{RequestID: pause.ID, UntilMS: pause.UntilMS, Paused: true}}, nil
	}
	return Result{Outcome: Ready, Version: pause.Began}, nil
}

// applyResume ends a pause. It is Ready if the pause that began there has lasted until now, and
// otherwise Aborted.
func applyResume(cmd *wire.Command, state State, out *store.Mutations) (Result, error) {
	pause, err := readPause(state)
	if err != nil {
		return Result{}, err
	}
	if pause.ID != cmd.RequestID {
		return Result{Outcome: Aborted}, nil
	}
	out.Delete(store.Own, bytes.Clone(PauseKey))
	if pause.Began != cmd.Version || !lasts(pause, out.Meta) {
		return Result{Outcome: Aborted}, nil
	}
	return Result{Outcome: Ready, Version: pause.Began}, nil
}
