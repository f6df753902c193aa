package coordinator

import (
	"fmt"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/apply"
	"github.com/sheafdb/sheaf/internal/wire"
)

// Share is the command of one group: its part of a batch that is written group by group, at
// SEQUENTIAL or EVENTUAL.
type Share struct {
	Group   uint64
	Command *wire.Command
}

// Shares makes a command for each group that has a part of a batch, all with its request ID
// and fingerprint: each group remembers the ID, and applies its part once.
func Shares(cmd *wire.Command, groupOf func(key []byte) uint64) []Share {
	return sharesOf(cmd, Split(cmd.Entries, groupOf))
}

func sharesOf(cmd *wire.Command, parts []Part) []Share {
	if len(parts) == 1 {
		return []Share{{parts[0].Group, cmd}}
	}
	shares := make([]Share, len(parts))
	for i, part := range parts {
		own := *cmd
		own.Entries, own.Source = part.Entries, nil // it has bytes of its own
		shares[i] = Share{part.Group, &own}
	}
	return shares
}

// Known says whether all groups remember their part of a batch. check is that of a group; its
// refusal is the error.
func Known(parts []Share, check func(Share) (apply.Result, bool, error)) (bool, error) {
	known := 0
	for _, part := range parts {
		result, answered, err := check(part)
		switch {
		case err != nil:
			return false, err
		case answered && result.Refused != nil:
			return false, result.Refused
		case answered:
			known++
		}
	}
	return known == len(parts), nil
}

// PartAnswer is what became of a SEQUENTIAL batch in one group.
type PartAnswer struct {
	Group   uint64
	Applied bool
	// Version is 0 when the part was not applied, or may have been; Reason then says why.
	Version uint64
	Reason  sheaf.Code
}

// JoinParts makes the answer to a SEQUENTIAL batch of those of its groups. It is an error only
// if no part was applied.
func JoinParts(shares []Share, answers []Answer, errs []error) (Answer, error) {
	var all Answer
	var sum wire.ETagSum
	var first *sheaf.Error
	applied, known := 0, true
	for i, part := range shares {
		outcome := PartAnswer{Group: part.Group, Applied: errs[i] == nil, Version: answers[i].Version}
		if e := sheaf.AsError(errs[i]); e != nil {
			outcome.Reason = e.Code
			known = known && e.Code != sheaf.OutcomeUnknown
			if first == nil || e.Code == sheaf.OutcomeUnknown {
				first = e
			}
		} else {
			applied++
			all.Version = max(all.Version, answers[i].Version)
			// Of two attempts side by side each may apply a part: neither has applied it all.
			all.Replayed = all.Replayed || answers[i].Replayed
			for _, entry := range part.Command.Entries.All() {
				if !entry.Delete {
					sum.AddKey(entry.Key, answers[i].Version)
				}
			}
		}
		all.Parts = append(all.Parts, outcome)
	}
	switch {
	case applied == len(shares):
		all.ETag = sum.ETag()
	case applied == 0 && known:
		return Answer{}, first
	case applied == 0:
		return Answer{}, &sheaf.Error{Code: sheaf.OutcomeUnknown, Err: first, Detail: fmt.Sprintf("none of the batch's %d parts is known to be applied", len(shares))}
	}
	return all, nil
}
