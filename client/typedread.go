package client

import (
	"context"
	"iter"
	"slices"
	"strings"

	"github.com/sheafdb/sheaf"
)

// TypedValues is the answer to a [Typed.GetAll].
type TypedValues[V any] struct {
	// Items has one item per key, in the order asked.
	Items []TypedItem[V]
	// ETag is that of exactly the keys asked for.
	ETag sheaf.ETag
}

// Get reads one key. A key that is absent, deleted or expired is a NOT_FOUND error.
func (t *Typed[V]) Get(ctx context.Context, key string, opts ...ReadOption) (V, error) {
	item, err := t.kv.Get(ctx, t.Key(key), opts...)
	if err != nil {
		var none V
		return none, err
	}
	return t.Decode(item)
}

// GetAll reads a set of keys. A key that is absent is an item that is not Found, and no error.
// The values are the caller's; messages share one piece of memory, so holding on to one holds all.
func (t *Typed[V]) GetAll(ctx context.Context, keys []string, opts ...ReadOption) (TypedValues[V], error) {
	read, err := t.kv.GetAll(ctx, t.keys(keys), opts...)
	if err != nil {
		return TypedValues[V]{}, err
	}
	found := 0
	for i := range read.Items {
		if read.Items[i].Found {
			found++
		}
	}
	room := t.form.alloc(found)
	values := TypedValues[V]{Items: make([]TypedItem[V], len(keys)), ETag: read.ETag}
	for i := range read.Items {
		item := &read.Items[i]
		values.Items[i] = TypedItem[V]{Key: keys[i], Version: item.Version, Found: item.Found}
		if !item.Found {
			continue
		}
		if err := t.decode(item, &room[0]); err != nil {
			return TypedValues[V]{}, err
		}
		values.Items[i].Value, room = room[0], room[1:]
	}
	return values, nil
}

// Scan yields the live keys with the prefix, as [Client.Scan] does; Prefix and Start of the
// options are behind it. A value that is not what it should be is yielded as an error, and the
// scan goes on.
func (t *Typed[V]) Scan(ctx context.Context, o ScanOptions) iter.Seq2[TypedItem[V], error] {
	o.Prefix = t.Key(string(o.Prefix))
	if len(o.Start) > 0 {
		o.Start = t.Key(string(o.Start))
	}
	return func(yield func(TypedItem[V], error) bool) {
		for item, err := range t.kv.Scan(ctx, o) {
			if err != nil {
				yield(TypedItem[V]{}, err)
				return
			}
			value, err := t.Decode(item)
			key := strings.TrimPrefix(string(item.Key), t.prefix)
			if !yield(TypedItem[V]{Key: key, Value: value, Version: item.Version, Found: true}, err) {
				return
			}
		}
	}
}

// Decode returns the value of an item that was found, for items that were read in another way.
func (t *Typed[V]) Decode(item sheaf.Item) (V, error) {
	value := t.form.alloc(1)[0]
	if err := t.decode(&item, &value); err != nil {
		var none V
		return none, err
	}
	return value, nil
}

func (t *Typed[V]) decode(item *sheaf.Item, into *V) error {
	if item.TypeURL != t.form.typeURL && !t.form.accepts(item.TypeURL) {
		return t.wrong(item, nil)
	}
	if err := t.form.decode(item.Value, into); err != nil {
		return t.wrong(item, err)
	}
	return nil
}

func (t *Typed[V]) wrong(item *sheaf.Item, err error) error {
	return &ValueError{Key: slices.Clone(item.Key), Want: t.form.name, TypeURL: item.TypeURL, Err: err}
}

// keys returns the whole keys, in one piece of memory.
func (t *Typed[V]) keys(keys []string) [][]byte {
	size := 0
	for _, key := range keys {
		size += len(t.prefix) + len(key)
	}
	buf, whole := make([]byte, 0, size), make([][]byte, len(keys))
	for i, key := range keys {
		start := len(buf)
		buf = append(append(buf, t.prefix...), key...)
		whole[i] = buf[start:len(buf):len(buf)]
	}
	return whole
}
