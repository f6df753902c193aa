package group

import (
	"fmt"

	"github.com/sheafdb/sheaf/internal/apply"
	"github.com/sheafdb/sheaf/internal/feed"
	"github.com/sheafdb/sheaf/internal/store"
	"github.com/sheafdb/sheaf/internal/wire"
)

// tell gives the feed what a command has done to the state: out is what was written for it.
func tell(lane *feed.Lane, cmd *wire.Command, result *apply.Result, out *store.Mutations) {
	if lane == nil {
		return
	}
	index, wrote := out.Meta.Index, len(out.Ops) > 0
	written := func() wire.Entries { return writtenBy(out) }
	switch {
	case cmd.Kind == wire.Fast && result.Version != 0 && !result.Replayed:
		lane.Wrote(index, result.Version, cmd.Entries)
	case cmd.Kind == wire.Bundle && result.Version != 0 && !result.Replayed:
		lane.WroteEach(index, versionsOf(cmd, result), cmd.Entries)
	case cmd.Kind == wire.Tick && removesKeys(out):
		lane.Expired(index, written())
	case cmd.Kind == wire.Prepare && result.Outcome == apply.Ready && wrote: // else it was sent again
		lane.Prepared(index, cmd.RequestID, cmd.Attempt, cmd.Entries)
	case cmd.Kind == wire.Decide && result.Outcome == apply.Committed && wrote:
		lane.Decided(index, cmd.RequestID, cmd.Attempt, cmd.Version, cmd.Keys, written)
	case cmd.Kind == wire.Resolve && wrote:
		lane.Resolved(index, cmd.RequestID, cmd.Attempt, cmd.Commit, written)
	default:
		lane.Passed(index)
	}
}

// versionsOf are those of a bundle's entries, 0 of those that were refused.
func versionsOf(cmd *wire.Command, result *apply.Result) []uint64 {
	versions := make([]uint64, cmd.Entries.Len())
	next := result.Version
	for i := range versions {
		if !result.Without.Has(i) {
			versions[i] = next
			next++
		}
	}
	return versions
}

func passed(lane *feed.Lane, index uint64) {
	if lane != nil {
		lane.Passed(index)
	}
}

func removesKeys(out *store.Mutations) bool {
	for i := range out.Ops {
		if out.Ops[i].Space == store.Data {
			return true
		}
	}
	return false
}

// writtenBy makes the entries, in memory of their own, that would have written the keys in out. A Tick
// deletes a key as often as it is due by then, which is twice if it was written again with less time to
// live; entries have it once.
func writtenBy(out *store.Mutations) wire.Entries {
	var raw []byte
	keys := wire.NewKeySet(len(out.Ops))
	defer keys.Release()
	for i := range out.Ops {
		op := &out.Ops[i]
		if op.Space != store.Data {
			continue
		}
		if _, again := keys.Add(op.Key); again {
			continue
		}
		entry := wire.Entry{Key: op.Key, Value: op.Value, Delete: op.Delete}
		if !op.Delete {
			head, err := wire.DecodeRecord(op.Head)
			if err != nil {
				panic(fmt.Sprintf("group: a record of our own is malformed: %v", err))
			}
			entry.TypeURL = head.TypeURL
			if head.ExpiryMS > 0 {
				entry.TTLMS = int64(head.ExpiryMS - out.Meta.NowMS)
			}
		}
		raw = wire.AppendEntry(raw, &entry)
	}
	return wire.Canonical(raw)
}
