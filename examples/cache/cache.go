package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/client"
)

// Cache keeps values of a slow origin for a time, for all processes that share a cluster.
//
// Each cached key is two keys of Sheaf. "cache/{KEY}/value" is the value, which its time to live
// removes. "cache/{KEY}/lease" is there while somebody fetches it. The braces keep both in one
// replica group, whatever groups there are, so that writing both costs what writing one does.
type Cache struct {
	Client *client.Client
	// TTL is how long a value is kept.
	TTL time.Duration
	// Lease is how long a fetch may take. When one takes longer, or its process has died, another
	// caller fetches; what the first brings is then not kept.
	Lease time.Duration
}

// Get returns the cached value, or what fetch brings. Of all callers who miss one key at a time,
// one calls fetch and the others are given what that brought.
func (c *Cache) Get(ctx context.Context, key string, fetch func(context.Context) ([]byte, error)) ([]byte, error) {
	if key == "" || strings.ContainsAny(key, "{}") {
		return nil, fmt.Errorf("the key %q is empty or has a brace", key)
	}
	prefix := "cache/{" + key + "}/"
	valueKey, leaseKey := prefix+"value", prefix+"lease"
	for {
		item, err := c.Client.Get(ctx, []byte(valueKey))
		if !errors.Is(err, sheaf.NotFound) {
			return item.Value, err
		}
		// Version 0: only if it is not there. All who come later are refused until the lease ends.
		lease := sheaf.Put(leaseKey, "").WithTTL(c.Lease).OnlyIfVersion(0)
		won, err := c.Client.PutAll(ctx, []sheaf.Entry{lease})
		switch {
		case err == nil:
			return c.fill(ctx, valueKey, leaseKey, won.Version, fetch)
		case !errors.Is(err, sheaf.VersionMismatch):
			return nil, err
		}
		value, there, err := c.await(ctx, prefix, valueKey, leaseKey)
		if err != nil || there {
			return value, err
		}
	}
}

// fill fetches the value, and puts it in the batch that ends the lease: nobody sees the one without
// the other, and who has lost the lease in the meantime changes nothing. So whoever wins a lease after
// another has filled sees the value, if it looks once more.
func (c *Cache) fill(ctx context.Context, valueKey, leaseKey string, lease uint64, fetch func(context.Context) ([]byte, error)) ([]byte, error) {
	end := sheaf.Delete(leaseKey).OnlyIfVersion(lease)
	item, err := c.Client.Get(ctx, []byte(valueKey))
	there, value := err == nil, item.Value
	if errors.Is(err, sheaf.NotFound) {
		value, err = fetch(ctx)
	}
	if there || err != nil {
		// Let another try at once. Should this fail too, the lease ends by itself.
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		_, _ = c.Client.PutAll(last, []sheaf.Entry{end})
		return value, err
	}
	_, err = c.Client.PutAll(ctx, []sheaf.Entry{sheaf.Put(valueKey, value).WithTTL(c.TTL), end})
	if errors.Is(err, sheaf.VersionMismatch) {
		err = nil // it took too long; the value is good all the same
	}
	return value, err
}

// await returns the value as soon as it is there, and there=false when the lease has ended without
// one. It follows the two keys, so the server is not asked again and again.
func (c *Cache) await(ctx context.Context, prefix, valueKey, leaseKey string) (value []byte, there bool, err error) {
	leased := false
	for update, err := range c.Client.Sync(ctx, []byte(prefix)) {
		if err != nil {
			return nil, false, err
		}
		if update.Step == client.SyncRestart {
			leased = false
		}
		for _, item := range update.Items {
			if string(item.Key) == valueKey {
				return item.Value, true, nil
			}
			leased = leased || string(item.Key) == leaseKey
		}
		for _, change := range update.Event.Changes {
			if string(change.Key) == valueKey && !change.Delete {
				return change.Value, true, nil
			}
			leased = leased && !(string(change.Key) == leaseKey && change.Delete)
		}
		if update.Step >= client.SyncComplete && !leased {
			return nil, false, nil
		}
	}
	return nil, false, ctx.Err()
}
