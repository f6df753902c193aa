package wire

import "github.com/sheafdb/sheaf"

// EncodeDeletes encodes a batch that deletes keys. field names the i-th key as
// the caller knows it, for errors, which are *sheaf.Error.
func EncodeDeletes(keys [][]byte, field func(i int) string, limits sheaf.Limits) (Entries, error) {
	if len(keys) == 0 {
		return Entries{}, sheaf.Invalid("keys", "is empty: name at least one key")
	}
	set := NewKeySet(len(keys))
	defer set.Release()
	size := 0
	for _, key := range keys {
		size += len(key) + 12 // tags, lengths and the flag
	}
	raw := make([]byte, 0, size)
	for i, key := range keys {
		if first, dup := set.Add(key); dup {
			return Entries{}, sheaf.Invalid(field(i), "is the same key as %s: a batch deletes each key once", field(first))
		}
		raw = AppendEntry(raw, &Entry{Key: key, Delete: true})
	}
	return ParseEntries(raw, limits)
}
