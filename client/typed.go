package client

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/sheafdb/sheaf"
)

// KeyValues is what typed values are read and written with: a [*Client] or a [*Session].
type KeyValues interface {
	PutAll(ctx context.Context, entries []sheaf.Entry, opts ...WriteOption) (Result, error)
	Get(ctx context.Context, key []byte, opts ...ReadOption) (sheaf.Item, error)
	GetAll(ctx context.Context, keys [][]byte, opts ...ReadOption) (Values, error)
	OnConflict(ctx context.Context, keys [][]byte, merge func(Values) ([]sheaf.Entry, error)) (Result, error)
	Scan(ctx context.Context, o ScanOptions) iter.Seq2[sheaf.Item, error]
}

var (
	_ KeyValues = (*Client)(nil)
	_ KeyValues = (*Session)(nil)
)

// Typed are values of one Go type, under keys with one prefix. [TypedProto] and [TypedJSON] make
// one. It is safe for concurrent use.
//
// Keys are given and returned without the prefix. A value that is there but of another type, or
// that does not decode, is a [*ValueError], and is not overwritten by Update.
type Typed[V any] struct {
	kv     KeyValues
	prefix string
	form   form[V]
}

// form is how values of a type are stored.
type form[V any] struct {
	// name is the type's in errors, typeURL that of its entries.
	name, typeURL string
	// accepts says whether an item with this type URL, which is another, is of the type too.
	accepts func(typeURL string) bool
	// size is about what append will append.
	size   func(V) int
	append func(to []byte, value V) ([]byte, error)
	// alloc makes room for as many values, which decode fills.
	alloc  func(n int) []V
	decode func(data []byte, into *V) error
}

// TypedItem is what a read says of one key.
type TypedItem[V any] struct {
	// Key is without the prefix.
	Key string
	// Value is the zero value when not Found.
	Value V
	// Version is that of the batch that wrote the key; 0 when not Found.
	Version uint64
	// Found is false when the key is absent, deleted or expired.
	Found bool
}

// ValueError is a value that is not what its key should hold.
type ValueError struct {
	// Key is the whole key.
	Key []byte
	// Want names the type asked for.
	Want string
	// TypeURL is what the value is marked with.
	TypeURL string
	// Err is why the value does not decode; nil when it is of another type.
	Err error
}

// Error names the key.
func (e *ValueError) Error() string {
	switch {
	case e.Err != nil:
		return fmt.Sprintf("key %q: the value is not a valid %s: %v", e.Key, e.Want, e.Err)
	case e.TypeURL == "":
		return fmt.Sprintf("key %q: the value has no type, where a %s is expected", e.Key, e.Want)
	}
	return fmt.Sprintf("key %q: the value is a %q, where a %s is expected", e.Key, e.TypeURL, e.Want)
}

// Unwrap is why the value does not decode.
func (e *ValueError) Unwrap() error { return e.Err }

// Key returns the whole key, for what Typed has no method for.
func (t *Typed[V]) Key(key string) []byte { return []byte(t.prefix + key) }

// Entry returns the entry that sets key to value, for a batch with values of several types.
func (t *Typed[V]) Entry(key string, value V) (sheaf.Entry, error) {
	data, err := t.form.append(nil, value)
	if err != nil {
		return sheaf.Entry{}, t.unwritten("entry", key, err)
	}
	return sheaf.Entry{Key: t.Key(key), Value: data, TypeURL: t.form.typeURL}, nil
}

// unwritten is the error of a value that cannot be encoded.
func (t *Typed[V]) unwritten(op, key string, err error) error {
	e := sheaf.Invalid("value", "of key %q cannot be encoded as a %s", t.prefix+key, t.form.name)
	e.Op, e.Err = op, err
	return e
}

// Put sets one key.
func (t *Typed[V]) Put(ctx context.Context, key string, value V, opts ...WriteOption) (Result, error) {
	entry, err := t.Entry(key, value)
	if err != nil {
		return Result{}, err
	}
	return t.kv.PutAll(ctx, []sheaf.Entry{entry}, opts...)
}

// PutAll sets all keys of a map in one batch. Equal maps are equal batches, byte for byte, as
// [WithRequestID] asks for.
func (t *Typed[V]) PutAll(ctx context.Context, values map[string]V, opts ...WriteOption) (Result, error) {
	keys, size := make([]string, 0, len(values)), 0
	for key, value := range values {
		keys = append(keys, key)
		size += len(t.prefix) + len(key) + t.form.size(value)
	}
	slices.Sort(keys)
	// One piece of memory for all; where it turns out too small, append takes another.
	buf := make([]byte, 0, size)
	entries := make([]sheaf.Entry, len(keys))
	for i, key := range keys {
		start := len(buf)
		buf = append(append(buf, t.prefix...), key...)
		split := len(buf)
		var err error
		if buf, err = t.form.append(buf, values[key]); err != nil {
			return Result{}, t.unwritten("putall", key, err)
		}
		entries[i] = sheaf.Entry{Key: buf[start:split:split], Value: buf[split:len(buf):len(buf)], TypeURL: t.form.typeURL}
	}
	return t.kv.PutAll(ctx, entries, opts...)
}

// DeleteAll removes keys in one batch, whatever they hold.
func (t *Typed[V]) DeleteAll(ctx context.Context, keys []string, opts ...WriteOption) (Result, error) {
	entries := make([]sheaf.Entry, len(keys))
	for i, key := range t.keys(keys) {
		entries[i] = sheaf.Entry{Key: key, Delete: true}
	}
	return t.kv.PutAll(ctx, entries, opts...)
}

// Update reads a key, calls change with its value, and writes what that returns, as if nobody
// else had written the key in between: see [Client.OnConflict]. change may run many times, each
// time with a value of its own, which it may modify and return; when not found it is an empty
// one. Its own error ends the call.
func (t *Typed[V]) Update(ctx context.Context, key string, change func(value V, found bool) (V, error)) (Result, error) {
	return t.kv.OnConflict(ctx, [][]byte{t.Key(key)}, func(read Values) ([]sheaf.Entry, error) {
		value := t.form.alloc(1)[0]
		found := read.Items[0].Found
		if found {
			if err := t.decode(&read.Items[0], &value); err != nil {
				return nil, err
			}
		}
		value, err := change(value, found)
		if err != nil {
			return nil, err
		}
		entry, err := t.Entry(key, value)
		return []sheaf.Entry{entry}, err
	})
}
