package apply

import (
	"fmt"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/store"
	"github.com/sheafdb/sheaf/internal/wire"
)

// checkConditions reads what the batch's conditions are about and returns the
// refusal of the first kind that fails: If-Match, If-None-Match, if_version.
func checkConditions(cmd *wire.Command, state State, nowMS uint64) (*sheaf.Error, error) {
	whole := cmd.IfMatch.Set || cmd.IfNoneMatch.Set
	if !whole && !cmd.Entries.Conditional() {
		return nil, nil
	}
	var sum wire.ETagSum
	var absent, present, wrongVersion keyList
	for _, entry := range cmd.Entries.All() {
		if !whole && !entry.HasIfVersion {
			continue
		}
		version, err := liveVersion(entry.Key, state, nowMS)
		if err != nil {
			return nil, err
		}
		if version == 0 {
			absent.add(entry.Key)
		} else {
			sum.AddKey(entry.Key, version)
			present.add(entry.Key)
		}
		if entry.HasIfVersion && entry.IfVersion != version {
			wrongVersion.add(entry.Key)
		}
	}
	mismatch := func(code sheaf.Code, keys keyList, format string, args ...any) *sheaf.Error {
		refusal := &sheaf.Error{Code: code, Detail: fmt.Sprintf(format, args...), Keys: keys.keys}
		if whole {
			refusal.CurrentETag = sum.ETag()
		}
		return refusal
	}
	switch {
	case cmd.IfMatch.Star && absent.count > 0:
		return mismatch(sheaf.ETagMismatch, absent, "if_match is * but keys do not exist: %d", absent.count), nil
	case cmd.IfMatch.Set && !cmd.IfMatch.Star && !cmd.IfMatch.Has(sum):
		return mismatch(sheaf.ETagMismatch, keyList{}, "if_match is not the keys' current ETag %s", sum.ETag()), nil
	case cmd.IfNoneMatch.Star && present.count > 0:
		return mismatch(sheaf.ETagMismatch, present, "if_none_match is * but keys exist: %d", present.count), nil
	case cmd.IfNoneMatch.Has(sum):
		return mismatch(sheaf.ETagMismatch, keyList{}, "if_none_match is the keys' current ETag %s", sum.ETag()), nil
	case wrongVersion.count > 0:
		return mismatch(sheaf.VersionMismatch, wrongVersion, "keys that do not have the version that if_version asks for: %d", wrongVersion.count), nil
	}
	return nil, nil
}

// liveVersion is the version of a key, 0 when it is absent or expired.
func liveVersion(key []byte, state State, nowMS uint64) (uint64, error) {
	data, ok, err := state.Get(store.Data, key)
	if err != nil || !ok {
		return 0, err
	}
	record, err := wire.DecodeRecord(data)
	if err != nil {
		return 0, fmt.Errorf("%w: key %q: %w", store.ErrCorrupt, key, err)
	}
	if !record.Live(nowMS) {
		return 0, nil
	}
	return record.Version, nil
}

// keyList counts keys and copies the first few, for an error to name.
type keyList struct {
	keys  [][]byte
	bytes int
	count int
}

// maxKeyListBytes keeps an error small enough for the headers it travels in.
const maxKeyListBytes = 2048

func (l *keyList) add(key []byte) {
	l.count++
	if l.bytes += len(key); len(l.keys) < sheaf.MaxErrorKeys && l.bytes <= maxKeyListBytes {
		l.keys = append(l.keys, append([]byte(nil), key...))
	}
}
