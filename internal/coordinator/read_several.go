package coordinator

import (
	"context"
	"sync"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/group"
	"github.com/sheafdb/sheaf/internal/wire"
)

// getSeveral reads keys where there are several groups. One group answers by itself, unless a
// batch over several is on its way on one of its keys.
func (c *Coordinator) getSeveral(ctx context.Context, req GetAll) (Values, error) {
	parts := ShareKeys(req.Keys, c.table.GroupOf)
	if req.Consistency == sheaf.Linearizable && len(parts) > 1 {
		return c.getSnapshot(ctx, req)
	}
	values, held, err := c.getParts(ctx, req, parts)
	if err == nil && held {
		return c.getSnapshot(ctx, req)
	}
	return values, err
}

// getParts reads each group's keys by themselves. held: one group cannot say what its keys
// are, and there are no values.
func (c *Coordinator) getParts(ctx context.Context, req GetAll, parts []KeyShare) (_ Values, held bool, err error) {
	results, errs := make([]group.ReadResult, len(parts)), make([]error, len(parts))
	var reading sync.WaitGroup
	for i, part := range parts {
		reading.Go(func() {
			results[i], errs[i] = ReadPart(ctx, c.group(part.Group), group.ReadRequest{
				Keys: part.Keys, Level: req.Consistency, After: req.After, MaxBytes: c.cfg.Limits.BatchBytes,
			})
		})
	}
	reading.Wait()
	values, held, err := JoinReads(len(req.Keys), parts, results, errs)
	if err != nil || held {
		c.cfg.Gate.Release(values.Reserved)
		return Values{}, held, err
	}
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

// getSnapshot reads keys as of one instant of all their groups.
func (c *Coordinator) getSnapshot(ctx context.Context, req GetAll) (Values, error) {
	snapshot := &Snapshot{Keys: req.Keys, GroupOf: c.table.GroupOf}
	if req.Consistency == sheaf.Sequential {
		snapshot.After = req.After
	}
	do := &driver{c: c, caller: ctx, callTime: patience, reads: true, maxBytes: c.cfg.Limits.BatchBytes}
	found, err := snapshot.Run(do)
	if err != nil {
		do.release()
		return Values{}, err
	}
	values := Values{Items: make([]sheaf.Item, len(req.Keys)), Reserved: do.reserved}
	var sum wire.ETagSum
	named := wire.NewKeySet(len(req.Keys))
	defer named.Release()
	for i, v := range found {
		values.Items[i].Key = req.Keys[i]
		if !v.Live {
			continue
		}
		values.Items[i] = sheaf.Item{Key: req.Keys[i], Value: v.Value, TypeURL: string(v.TypeURL), Version: v.Version, Found: true}
		if _, again := named.Add(req.Keys[i]); !again {
			sum.AddKey(req.Keys[i], v.Version)
		}
	}
	values.ETag = sum.ETag()
	return values, c.fits(&values)
}
