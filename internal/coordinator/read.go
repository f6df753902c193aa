package coordinator

import (
	"context"
	"fmt"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/group"
)

// GetAll is a request for a set of keys.
type GetAll struct {
	Keys        [][]byte
	Consistency sheaf.Consistency
	After       uint64
}

// Values is the answer to GetAll: one item per key, in the order asked. Items
// own their values; their keys are the request's.
type Values struct {
	Items []sheaf.Item
	ETag  sheaf.ETag
	// Reserved is how many bytes are counted at the gate for Items. The caller
	// gives them back to the gate when it has let go of the items.
	Reserved int64
}

// GetAll reads a set of keys as of one instant. Errors are *sheaf.Error.
func (c *Coordinator) GetAll(ctx context.Context, req GetAll) (Values, error) {
	if len(req.Keys) == 0 {
		return Values{}, sheaf.Invalid("keys", "is empty: ask for at least one key")
	}
	if err := CheckKeys(req.Keys, c.cfg.Limits); err != nil {
		return Values{}, err
	}
	if err := c.cfg.Gate.Read(); err != nil {
		return Values{}, err
	}
	if _, set := ctx.Deadline(); !set {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, patience)
		defer cancel()
	}
	if c.whole() == nil {
		return c.getSeveral(ctx, req)
	}
	result, err := c.whole().Read(ctx, group.ReadRequest{
		Keys: req.Keys, Level: req.Consistency, After: req.After, MaxBytes: c.cfg.Limits.BatchBytes,
	})
	if err != nil {
		return Values{}, err
	}
	return Values{Items: result.Items, ETag: result.ETag.ETag(), Reserved: result.Reserved}, nil
}

// CheckKeys enforces the limits on the keys of a read or of a DeleteAll.
func CheckKeys(keys [][]byte, limits sheaf.Limits) error {
	if len(keys) > limits.BatchEntries {
		return sheaf.Errorf(sheaf.BatchTooLarge, "%d keys, where at most %d are allowed (limits.batch_entries): split the request", len(keys), limits.BatchEntries)
	}
	for i, key := range keys {
		switch {
		case len(key) == 0:
			return sheaf.Invalid(fmt.Sprintf("keys[%d]", i), "is empty")
		case len(key) > limits.KeyBytes:
			return sheaf.Invalid(fmt.Sprintf("keys[%d]", i), "has %d bytes: at most %d are allowed", len(key), limits.KeyBytes)
		}
	}
	return nil
}
