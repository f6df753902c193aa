package drive

import (
	"context"
	"fmt"

	"github.com/sheafdb/sheaf/client"
)

// cleanBatch is how many keys are deleted at a time.
const cleanBatch = 1000

// Clean deletes everything under a prefix.
func Clean(ctx context.Context, endpoint, prefix string, options []client.Option) (keys int, err error) {
	c, err := client.New(endpoint, options...)
	if err != nil {
		return 0, err
	}
	defer c.Close() //nolint:errcheck // nothing is under way
	var batch [][]byte
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		if _, err := c.DeleteAll(ctx, batch); err != nil {
			return fmt.Errorf("delete the run's keys: %w", err)
		}
		keys += len(batch)
		batch = batch[:0]
		return nil
	}
	for item, err := range c.Scan(ctx, client.ScanOptions{Prefix: []byte(prefix)}) {
		if err != nil {
			return keys, fmt.Errorf("scan the run's keys: %w", err)
		}
		if batch = append(batch, item.Key); len(batch) == cleanBatch {
			if err := flush(); err != nil {
				return keys, err
			}
		}
	}
	return keys, flush()
}
