package apply

import (
	"fmt"
	"time"

	"github.com/sheafdb/sheaf"
)

// staleRetry is the wait advised when a replica is behind a session.
const staleRetry = 50 * time.Millisecond

// Readable says whether a replica's state may answer a read at a level. SEQUENTIAL refuses with
// STALE_REPLICA when the state is older than after. held: a batch over several groups is on its
// way on one of the keys, so that this group alone cannot say what they are. EVENTUAL does not
// ask.
//
// A state whose clock has reached a version has, of its own keys, all up to that version as a
// value or as an intent: a batch's version is above the clock of each of its groups when its
// intents, or its values, came into the log.
func Readable(keys [][]byte, level sheaf.Consistency, after uint64, state State) (held bool, refusal *sheaf.Error, err error) {
	clock := state.Meta().Clock
	if refusal := CheckAfter(after, clock); refusal != nil {
		return false, refusal, nil
	}
	if level == sheaf.Sequential && after > clock {
		return false, &sheaf.Error{
			Code: sheaf.StaleReplica, RetryAfter: staleRetry,
			Detail: fmt.Sprintf("after is %d but this replica is at %d", after, clock),
		}, nil
	}
	if level == sheaf.Eventual {
		return false, nil, nil
	}
	held, err = anyHeld(keys, state)
	return held, nil, err
}

// anyHeld says whether an attempt holds one of the keys.
func anyHeld(keys [][]byte, state State) (bool, error) {
	if state.Meta().Held == 0 {
		return false, nil
	}
	for _, key := range keys {
		if holder, held, err := heldBy(key, state); err != nil || held && holder.Attempt != 0 {
			return true, err
		}
	}
	return false, nil
}
