package sim

import (
	"bytes"
	"context"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/coordinator"
	groups "github.com/sheafdb/sheaf/internal/group"
)

// makeRead reads a set, most often all of it, or scans it.
func (c *client) makeRead(op *operation) {
	w := c.w
	op.kind = readKeys
	for i := range op.asked {
		op.asked[i] = true
	}
	kinds := 8
	if !w.cfg.Mixed {
		kinds = 4
	}
	switch w.rng.IntN(kinds) {
	case 0, 1, 2, 3:
		op.level = sheaf.Linearizable
	case 4, 5:
		op.level = sheaf.Sequential
		if !w.chance(6) {
			op.after = c.sessionVersion()
		}
	case 6:
		op.level = sheaf.Eventual
	case 7:
		op.kind = scanKeys
		return
	}
	if w.chance(3) { // some keys
		for i := range op.asked {
			op.asked[i] = w.chance(2)
		}
		op.asked[w.rng.IntN(keysPerKeyset)] = true
	}
}

// read is a coordinator's work for a read.
func (t *try) read() {
	op, w := t.op, t.c.w
	var keys [][]byte
	var at []int
	for i, key := range keysOf(op.set) {
		if op.asked[i] {
			keys, at = append(keys, key), append(at, i)
		}
	}
	values, err := t.getAll(keys)
	if err != nil {
		t.retry()
		return
	}
	t.answer(func() {
		op.outcome = read
		for n, v := range values {
			op.values[at[n]] = v
		}
		if len(keys) == keysPerKeyset {
			t.c.seen[op.set] = op
		}
		w.checkSession(op)
	})
}

// getAll is what a node does with a read: see Coordinator.GetAll.
func (t *try) getAll(keys [][]byte) ([]value, error) {
	op, w := t.op, t.c.w
	parts := coordinator.ShareKeys(keys, w.groupOf)
	if op.level != sheaf.Linearizable || len(parts) == 1 {
		results, errs := make([]groups.ReadResult, len(parts)), make([]error, len(parts))
		t.carry.sideBySide(len(parts), func(i int, do *carrier) {
			results[i], errs[i] = coordinator.ReadPart(context.Background(), w.here(do, parts[i].Group), groups.ReadRequest{
				Keys: parts[i].Keys, Level: op.level, After: op.after,
			})
		})
		got, held, err := coordinator.JoinReads(len(keys), parts, results, errs)
		if err != nil || !held {
			values := make([]value, len(got.Items))
			for i, item := range got.Items {
				values[i] = value{string(item.Value), item.Version}
			}
			return values, err
		}
	}
	snapshot := &coordinator.Snapshot{Keys: keys, GroupOf: w.groupOf}
	if op.level == sheaf.Sequential {
		snapshot.After = op.after
	}
	found, err := snapshot.Run(t.carry)
	values := make([]value, len(found))
	for i, v := range found {
		if v.Live {
			values[i] = value{string(v.Value), v.Version}
		}
	}
	return values, err
}

// scan is a coordinator's work for a scan: see Coordinator.Scan.
func (t *try) scan() {
	op, w := t.op, t.c.w
	var merge coordinator.Merge[*cursor]
	prefix := keysOf(op.set)[0][:3]
	for _, g := range w.groups {
		from := w.here(t.carry, g.id)
		if err := coordinator.Settle(t.carry, g.id, w.groupOf, from.Attempts); err != nil {
			t.retry()
			return
		}
		c, err := from.Scan(prefix)
		if err != nil {
			t.retry()
			return
		}
		merge.Cursors = append(merge.Cursors, c)
	}
	var values [keysPerKeyset]value
	var last []byte
	for merge.Next() {
		item := merge.Item()
		if bytes.Compare(item.Key, last) <= 0 || !bytes.HasPrefix(item.Key, prefix) {
			w.fail("%s: key %q comes after %q", op, item.Key, last)
		}
		last = bytes.Clone(item.Key)
		values[item.Key[3]-'0'] = value{string(item.Value), item.Version}
		if w.chance(2) {
			t.carry.Wait(0)
		}
	}
	if merge.Err() != nil {
		t.retry()
		return
	}
	t.answer(func() { op.outcome, op.values = read, values })
}
