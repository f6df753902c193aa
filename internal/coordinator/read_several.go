package coordinator

import (
	"context"
	"errors"
	"sync"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/group"
	"github.com/sheafdb/sheaf/internal/wire"
)

// getSeveral reads keys where there are several groups. One group answers by itself, unless a
// batch over several is on its way on one of its keys.
func (c *Coordinator) getSeveral(ctx context.Context, req GetAll) (Values, error) {
	parts := c.shareKeys(req.Keys)
	if req.Consistency == sheaf.Linearizable && len(parts) > 1 {
		return c.getSnapshot(ctx, req.Keys)
	}
	values, held, err := c.getParts(ctx, req, parts)
	if err == nil && held {
		return c.getSnapshot(ctx, req.Keys)
	}
	return values, err
}

// keyShare are a group's keys among those asked for, and their places there.
type keyShare struct {
	group uint64
	keys  [][]byte
	at    []int
}

func (c *Coordinator) shareKeys(keys [][]byte) (parts []keyShare) {
	where := make(map[uint64]int)
	for i, key := range keys {
		group := c.table.GroupOf(key)
		n, ok := where[group]
		if !ok {
			n = len(parts)
			where[group] = n
			parts = append(parts, keyShare{group: group})
		}
		parts[n].keys, parts[n].at = append(parts[n].keys, key), append(parts[n].at, i)
	}
	return parts
}

// getParts reads each group's keys by themselves. held: one group cannot say what its keys
// are, and there are no values.
func (c *Coordinator) getParts(ctx context.Context, req GetAll, parts []keyShare) (_ Values, held bool, err error) {
	results, errs := make([]group.ReadResult, len(parts)), make([]error, len(parts))
	var reading sync.WaitGroup
	for i, part := range parts {
		reading.Go(func() {
			ask := group.ReadRequest{Keys: part.keys, Level: req.Consistency, After: req.After, MaxBytes: c.cfg.Limits.BatchBytes}
			to := c.group(part.group)
			results[i], errs[i] = to.Read(ctx, ask)
			if errors.Is(errs[i], sheaf.StaleReplica) {
				results[i], errs[i] = c.readAfter(ctx, to, ask)
			}
		})
	}
	reading.Wait()
	values := Values{Items: make([]sheaf.Item, len(req.Keys))}
	var sum wire.ETagSum
	for i, part := range parts {
		values.Reserved += results[i].Reserved
		held = held || results[i].Held
		sum.Add(results[i].ETag)
		for n, item := range results[i].Items {
			values.Items[part.at[n]] = item
		}
	}
	if err := errors.Join(errs...); err != nil || held {
		c.cfg.Gate.Release(values.Reserved)
		for _, err := range errs {
			if err != nil {
				return Values{}, false, err
			}
		}
		return Values{}, held, nil
	}
	values.ETag = sum.ETag()
	return values, false, c.fits(&values)
}

// itemOverheadBytes is what an item costs in an answer beside its bytes, as a group counts it.
const itemOverheadBytes = 24

// fits refuses an answer that is too large, though what each group has of it is not.
func (c *Coordinator) fits(values *Values) error {
	total := 0
	for i, item := range values.Items {
		if total += len(item.Key) + len(item.Value) + len(item.TypeURL) + itemOverheadBytes; item.Found && total > c.cfg.Limits.BatchBytes {
			c.cfg.Gate.Release(values.Reserved)
			n := len(values.Items)
			*values = Values{}
			return sheaf.Errorf(sheaf.BatchTooLarge,
				"the answer is larger than %d bytes (limits.batch_bytes): ask for fewer keys; %d of %d fit", c.cfg.Limits.BatchBytes, i, n)
		}
	}
	return nil
}

// readAfter reads a group that has not come to the version that a session has seen, which may be
// another group's. Its clock is moved there first, so that what is written later is above what
// the session has seen; its newest state then has all that is not.
func (c *Coordinator) readAfter(ctx context.Context, to Group, ask group.ReadRequest) (group.ReadResult, error) {
	result, _, err := to.Propose(ctx, &wire.Command{Kind: wire.Reserve, Version: ask.After})
	if err == nil && result.Refused != nil {
		err = result.Refused
	}
	if err != nil {
		return group.ReadResult{}, err
	}
	ask.Level = sheaf.Linearizable
	return to.Read(ctx, ask)
}

// getSnapshot reads keys as of one instant of all their groups.
func (c *Coordinator) getSnapshot(ctx context.Context, keys [][]byte) (Values, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	do := &driver{c: c, caller: ctx, callTime: patience, maxBytes: c.cfg.Limits.BatchBytes}
	found, err := (&Snapshot{Keys: keys, GroupOf: c.table.GroupOf}).Run(do)
	if err != nil {
		do.release()
		return Values{}, err
	}
	values := Values{Items: make([]sheaf.Item, len(keys)), Reserved: do.reserved}
	var sum wire.ETagSum
	named := wire.NewKeySet(len(keys))
	defer named.Release()
	for i, v := range found {
		values.Items[i].Key = keys[i]
		if !v.Live {
			continue
		}
		values.Items[i] = sheaf.Item{Key: keys[i], Value: v.Value, TypeURL: string(v.TypeURL), Version: v.Version, Found: true}
		if _, again := named.Add(keys[i]); !again {
			sum.AddKey(keys[i], v.Version)
		}
	}
	values.ETag = sum.ETag()
	return values, c.fits(&values)
}
