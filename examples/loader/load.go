package main

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"sync"
	"sync/atomic"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/client"
)

type options struct {
	key, prefix  string
	batchEntries int
	lanes        int
}

// load puts all rows and returns how many are certainly loaded. After an error that is not all of
// them, and a few more may be.
//
// Batches of different calls are in no order, so two rows of one key must not be under way at the
// same time, or the earlier could win. Each lane has one batch under way, and a key is always of the
// same lane.
func load(ctx context.Context, c *client.Client, o options, in io.Reader) (loaded int64, err error) {
	if o.batchEntries < 1 || o.lanes < 1 {
		return 0, errors.New("--batch and --in-flight must be at least 1")
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var count atomic.Int64
	var wait sync.WaitGroup
	lanes := make([]*lane, o.lanes)
	for i := range lanes {
		l := &lane{batches: make(chan []sheaf.Entry), keys: make(map[string]bool, o.batchEntries)}
		lanes[i] = l
		wait.Go(func() {
			for batch := range l.batches {
				if _, err := c.PutAll(ctx, batch); err != nil {
					stop(fmt.Errorf("the batch from key %q to %q: %w", batch[0].Key, batch[len(batch)-1].Key, err))
					return
				}
				count.Add(int64(len(batch)))
			}
		})
	}
	seed := maphash.MakeSeed()
	err = rows(in, o.key, func(key string, value []byte) error {
		key = o.prefix + key
		l := lanes[maphash.String(seed, key)%uint64(len(lanes))]
		if l.keys[key] || len(l.batch) == o.batchEntries { // a key occurs once in a batch
			if err := l.send(ctx); err != nil {
				return err
			}
		}
		l.keys[key] = true
		l.batch = append(l.batch, sheaf.Put(key, value))
		return nil
	})
	for _, l := range lanes {
		if err == nil {
			err = l.send(ctx)
		}
		close(l.batches)
	}
	wait.Wait()
	if cause := context.Cause(ctx); cause != nil {
		err = cause // of a batch, rather than that the next was not taken any more
	}
	return count.Load(), err
}

// lane is a batch that is gathered while the one before it is under way.
type lane struct {
	batch   []sheaf.Entry
	keys    map[string]bool // those of batch
	batches chan []sheaf.Entry
}

func (l *lane) send(ctx context.Context) error {
	if len(l.batch) == 0 {
		return nil
	}
	select {
	case l.batches <- l.batch:
	case <-ctx.Done():
		return ctx.Err()
	}
	l.batch = make([]sheaf.Entry, 0, cap(l.batch))
	clear(l.keys)
	return nil
}
