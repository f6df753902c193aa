package client

import (
	"context"
	"fmt"

	"github.com/sheafdb/sheaf"
)

// Put sets one key. It is a [Client.PutAll] of one entry, and goes together with other single
// writes that are made at the same time, in a bundle in which each has its own outcome.
func (c *Client) Put(ctx context.Context, key, value []byte, opts ...WriteOption) (Result, error) {
	return c.writeOne(ctx, "put", sheaf.Entry{Key: key, Value: value}, opts)
}

// Delete removes one key, like Put; removing a key that is not there succeeds.
func (c *Client) Delete(ctx context.Context, key []byte, opts ...WriteOption) (Result, error) {
	return c.writeOne(ctx, "delete", sheaf.Entry{Key: key, Delete: true}, opts)
}

// DeleteAll removes a set of keys, all or nothing. It is a [Client.PutAll]
// whose entries are all deletes, and is sent as one, so an error names a bad
// key as an entry.
func (c *Client) DeleteAll(ctx context.Context, keys [][]byte, opts ...WriteOption) (Result, error) {
	entries := make([]sheaf.Entry, len(keys))
	for i, key := range keys {
		entries[i] = sheaf.Entry{Key: key, Delete: true}
	}
	return c.write(ctx, "deleteall", entries, opts)
}

// Get reads one key. A key that is absent, deleted or expired is a NOT_FOUND
// error. The item's slices belong to the caller. It is a [Client.GetAll] of one key, or
// of those that are read at the same time.
func (c *Client) Get(ctx context.Context, key []byte, opts ...ReadOption) (sheaf.Item, error) {
	item, err := c.readOne(ctx, "get", key, opts)
	if err != nil {
		return sheaf.Item{}, err
	}
	if !item.Found {
		return item, &sheaf.Error{Code: sheaf.NotFound, Op: "get", Detail: fmt.Sprintf("no key %q", key)}
	}
	return item, nil
}
