package main

import (
	"context"
	"maps"
	"slices"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/client"
)

// The article's consistency levels.
const (
	Linearizable = sheaf.Linearizable
	Sequential   = sheaf.Sequential
	Eventual     = sheaf.Eventual
)

// VersionedValue is a value with the version at which its writer has read it. In Sheaf the version is
// the batch's, given by the server, so what a caller has is the version of what it read: 0 if that was
// nothing, or is of no concern.
type VersionedValue struct {
	Value   []byte
	Version uint64
}

// Store has the article's two calls.
type Store struct{ Client *client.Client }

// PutAll writes a batch at a level. A value with a version is written only if its key has that version
// still (if_version), and the batch's own version is larger than all of them (after). EVENTUAL takes no
// conditions, so versions only order a batch at the other levels.
func (s Store) PutAll(ctx context.Context, batch map[string]VersionedValue, level sheaf.Consistency, opts ...client.WriteOption) (client.Result, error) {
	var seen uint64
	entries := make([]sheaf.Entry, 0, len(batch))
	for _, key := range keysOf(batch) { // in one order, so that a retry has the same bytes
		value := batch[key]
		entry := sheaf.Put(key, value.Value)
		if value.Version > 0 && level != Eventual {
			entry = entry.OnlyIfVersion(value.Version)
			seen = max(seen, value.Version)
		}
		entries = append(entries, entry)
	}
	return s.Client.PutAll(ctx, entries, append(opts, client.At(level), client.After(seen))...)
}

// GetAll reads keys as they are at one instant: those that are there, with their versions, and the ETag
// of all of them.
func (s Store) GetAll(ctx context.Context, keys []string) (map[string]VersionedValue, sheaf.ETag, error) {
	names := make([][]byte, len(keys))
	for i, key := range keys {
		names[i] = []byte(key)
	}
	values, err := s.Client.GetAll(ctx, names)
	if err != nil {
		return nil, "", err
	}
	found := make(map[string]VersionedValue, len(keys))
	for _, item := range values.Items {
		if item.Found {
			found[string(item.Key)] = VersionedValue{Value: item.Value, Version: item.Version}
		}
	}
	return found, values.ETag, nil
}

func keysOf(batch map[string]VersionedValue) []string { return slices.Sorted(maps.Keys(batch)) }
