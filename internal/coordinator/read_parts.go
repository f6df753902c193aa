package coordinator

import (
	"context"
	"errors"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/apply"
	"github.com/sheafdb/sheaf/internal/group"
	"github.com/sheafdb/sheaf/internal/wire"
)

// KeyShare are a group's keys among those asked for.
type KeyShare struct {
	Group uint64
	Keys  [][]byte
	at    []int // their places among all
}

// ShareKeys sorts keys by group, in the order of the groups' first keys.
func ShareKeys(keys [][]byte, groupOf func(key []byte) uint64) (parts []KeyShare) {
	where := make(map[uint64]int)
	for i, key := range keys {
		group := groupOf(key)
		n, ok := where[group]
		if !ok {
			n = len(parts)
			where[group] = n
			parts = append(parts, KeyShare{Group: group})
		}
		parts[n].Keys, parts[n].at = append(parts[n].Keys, key), append(parts[n].at, i)
	}
	return parts
}

// Replica is what a read by one group needs of it: the replica here, and the way to the leader.
type Replica interface {
	Read(ctx context.Context, req group.ReadRequest) (group.ReadResult, error)
	Propose(ctx context.Context, cmd *wire.Command) (apply.Result, group.Timing, error)
}

// ReadPart reads the keys of one group, which answers by itself.
//
// A replica may not have come to the version that a session has seen, which may be another
// group's. The group's clock is moved there first, so that what is written later is above what
// the session has seen; its newest state then has all that is not.
func ReadPart(ctx context.Context, from Replica, ask group.ReadRequest) (group.ReadResult, error) {
	result, err := from.Read(ctx, ask)
	if !errors.Is(err, sheaf.StaleReplica) {
		return result, err
	}
	stale := err
	moved, _, err := from.Propose(ctx, &wire.Command{Kind: wire.Reserve, Version: ask.After})
	switch {
	case err != nil && ctx.Err() != nil:
		return group.ReadResult{}, &sheaf.Error{Code: sheaf.NotProposed, Err: ctx.Err(), Detail: "the group did not move its clock in time"}
	case errors.Is(err, sheaf.OutcomeUnknown): // of the clock; the read has none
		return group.ReadResult{}, stale
	case err != nil:
		return group.ReadResult{}, err
	case moved.Refused != nil:
		return group.ReadResult{}, moved.Refused
	}
	ask.Level = sheaf.Linearizable
	return from.Read(ctx, ask)
}

// JoinReads puts what each group has read where it was asked for. held: one of them cannot say
// what its keys are. Reserved is what all have counted at the gate, also if there are no values.
func JoinReads(keys int, parts []KeyShare, results []group.ReadResult, errs []error) (values Values, held bool, err error) {
	values.Items = make([]sheaf.Item, keys)
	var sum wire.ETagSum
	for i, part := range parts {
		values.Reserved += results[i].Reserved
		held = held || results[i].Held
		if err == nil {
			err = errs[i]
		}
		sum.Add(results[i].ETag)
		for n, item := range results[i].Items {
			values.Items[part.at[n]] = item
		}
	}
	if err != nil || held {
		return Values{Reserved: values.Reserved}, held && err == nil, err
	}
	values.ETag = sum.ETag()
	return values, false, nil
}
