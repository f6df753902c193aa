package apply

import (
	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/store"
	"github.com/sheafdb/sheaf/internal/wire"
)

// applyBundle is applyFast for many batches of one entry each. What is asked of the bundle comes
// first and decides for all: request ID, age, deadline, holders of keys. Then each entry is
// applied, or refused by its condition, as if it came alone right after those before it.
func applyBundle(cmd *wire.Command, state State, out *store.Mutations) (Result, error) {
	if refusal := CheckAfter(cmd.After, out.Meta.Clock); refusal != nil {
		return refuse(refusal)
	}
	row, known, err := lookup(cmd.RequestID, state)
	if err != nil {
		return Result{}, err
	}
	if known {
		return answerBundle(cmd, row), nil
	}
	if refusal := checkAge(cmd, out.Meta, known); refusal != nil {
		return refuse(refusal)
	}
	if cmd.DeadlineMS != 0 && out.Meta.NowMS > cmd.DeadlineMS {
		return refuse(sheaf.Errorf(sheaf.NotProposed, "the deadline passed before the bundle was applied"))
	}
	if refusal, err := makeRoom(cmd, state, out); err != nil || refusal != nil {
		return Result{Refused: refusal}, err
	}
	if holder, held, err := holderOf(cmd, state, out.Meta); err != nil || held {
		return Result{Outcome: Conflict, Holder: holder}, err
	}
	result := Result{Version: max(out.Meta.Clock, cmd.After) + 1}
	if result.Without, err = writeEach(cmd.Entries, result.Version, state, out); err != nil {
		return Result{}, err
	}
	remember(cmd, wire.Row{Version: result.Version, Bundle: true, Without: result.Without}, false, out)
	return result, nil
}

// answerBundle is Answer for a bundle. Its row is never one of refusals.
func answerBundle(cmd *wire.Command, row wire.Row) Result {
	if !row.Bundle || row.Fingerprint != cmd.Fingerprint {
		return Result{Refused: reused(cmd)}
	}
	return Result{Version: row.Version, Without: row.Without, Replayed: true}
}

// writeEach gives each entry whose condition holds the next version, from first on, and returns
// the others. Of several entries of one key the last is what the store gets, because
// store.Mutations has a key once.
func writeEach(entries wire.Entries, first uint64, state State, out *store.Mutations) (without wire.Positions, err error) {
	written := wire.NewKeySet(entries.Len())
	defer written.Release()
	lasts := make([]last, 0, entries.Len())
	version, expires := first, false
	for i, entry := range entries.All() {
		at, again := written.Find(entry.Key)
		if entry.HasIfVersion {
			var current uint64
			if again {
				current = lasts[at].version
			} else if current, err = liveVersion(entry.Key, state, out.Meta.NowMS); err != nil {
				return nil, err
			}
			if current != entry.IfVersion {
				without.Add(i)
				continue
			}
		}
		if !again {
			written.Add(entry.Key)
			at = len(lasts)
			lasts = append(lasts, last{op: len(out.Ops)})
			out.Ops = append(out.Ops, store.Op{})
		}
		out.Ops[lasts[at].op], lasts[at].version, lasts[at].expiryMS = entryOp(&entry, version, out)
		expires = expires || lasts[at].expiryMS != 0
		out.Meta.Clock = version
		version++
	}
	for _, l := range lasts {
		if expires && l.expiryMS != 0 {
			key := out.Ops[l.op].Key
			out.Set(store.Due, out.Scratch(func(dst []byte) []byte { return appendDue(dst, dueKey, l.expiryMS, key) }), nil, nil)
		}
	}
	return without, nil
}

// last is the last entry so far of a key: where its op is, and the version that a condition on
// the key meets, 0 after a delete.
type last struct {
	op                int
	version, expiryMS uint64
}

// entryOp is what one entry does to its key.
func entryOp(entry *wire.Entry, version uint64, out *store.Mutations) (op store.Op, current, expiryMS uint64) {
	if entry.Delete {
		out.Meta.Floor = max(out.Meta.Floor, version)
		return store.Op{Space: store.Data, Delete: true, Key: entry.Key}, 0, 0
	}
	if entry.TTLMS != 0 {
		expiryMS = out.Meta.NowMS + uint64(entry.TTLMS)
	}
	head := out.Scratch(func(dst []byte) []byte { return wire.AppendRecordHead(dst, version, expiryMS, entry.TypeURL) })
	return store.Op{Space: store.Data, Key: entry.Key, Head: head, Value: entry.Value}, version, expiryMS
}
