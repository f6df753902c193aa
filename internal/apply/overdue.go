package apply

import (
	"bytes"

	"github.com/sheafdb/sheaf/internal/wire"
)

// Overdue is what a coordinator should have finished by now. A group's leader looks for it.
type Overdue struct {
	// Attempts are those past their deadline whose intents are here: home knows their
	// fate.
	Attempts []wire.Holder
	// Unfinished are batches that were committed here and may have intents elsewhere.
	Unfinished []Unfinished
}

// Unfinished is a committed batch that not all groups are known to have resolved.
type Unfinished struct {
	RequestID                    string
	Attempt, Version, DeadlineMS uint64
	Keys                         [][]byte // one of each group
}

// FindOverdue looks for at most so many of each kind. It has memory of its own.
func FindOverdue(nowMS uint64, most int, state State) (found Overdue, err error) {
	names := func(kind byte) (names [][]byte, times []uint64, err error) {
		err = state.DueKeys([]byte{kind}, func(key []byte) bool {
			_, at, name := splitDue(key)
			if at >= nowMS || len(names) == most {
				return false
			}
			names, times = append(names, bytes.Clone(name)), append(times, at)
			return true
		})
		return names, times, err
	}
	attempts, _, err := names(dueAttempt)
	if err != nil {
		return found, err
	}
	for _, name := range attempts {
		requestID, attempt := wire.SplitAttempt(name)
		holder, _, err := withHome(wire.Holder{RequestID: requestID, Attempt: attempt}, state)
		if err != nil {
			return found, err
		}
		found.Attempts = append(found.Attempts, holder)
	}
	batches, times, err := names(dueUnfinished)
	if err != nil {
		return found, err
	}
	for i, name := range batches {
		row, known, err := lookup(string(name), state)
		if err != nil {
			return found, err
		}
		if known && len(row.Unfinished) > 0 {
			found.Unfinished = append(found.Unfinished, Unfinished{
				RequestID: string(name), Attempt: row.Attempt, Version: row.Version, DeadlineMS: times[i], Keys: row.Unfinished,
			})
		}
	}
	return found, nil
}
