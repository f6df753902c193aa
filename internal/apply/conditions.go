package apply

import (
	"fmt"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/store"
	"github.com/sheafdb/sheaf/internal/wire"
)

// checkConditions reads what the batch's conditions are about and returns the
// refusal of the first kind that fails: If-Match, If-None-Match, if_version. sum is the
// keys' ETag, if there is a condition on it. An ETag is compared here only if the command
// has all of the batch's keys.
func checkConditions(cmd *wire.Command, state State, nowMS uint64) (refusal *sheaf.Error, sum wire.ETagSum, err error) {
	whole := cmd.IfMatch.Set || cmd.IfNoneMatch.Set
	if !whole && !cmd.Entries.Conditional() {
		return nil, sum, nil
	}
	tags := cmd.Kind != wire.Prepare
	var absent, present, wrongVersion keyList
	for _, entry := range cmd.Entries.All() {
		if !whole && !entry.HasIfVersion {
			continue
		}
		version, err := liveVersion(entry.Key, state, nowMS)
		if err != nil {
			return nil, sum, err
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
		refusal = mismatch(sheaf.ETagMismatch, absent, "if_match is * but keys do not exist: %d", absent.count)
	case tags && cmd.IfMatch.Set && !cmd.IfMatch.Star && !cmd.IfMatch.Has(sum):
		refusal = mismatch(sheaf.ETagMismatch, keyList{}, "if_match is not the keys' current ETag %s", sum.ETag())
	case cmd.IfNoneMatch.Star && present.count > 0:
		refusal = mismatch(sheaf.ETagMismatch, present, "if_none_match is * but keys exist: %d", present.count)
	case tags && cmd.IfNoneMatch.Has(sum):
		refusal = mismatch(sheaf.ETagMismatch, keyList{}, "if_none_match is the keys' current ETag %s", sum.ETag())
	case wrongVersion.count > 0:
		refusal = mismatch(sheaf.VersionMismatch, wrongVersion, "keys that do not have the version that if_version asks for: %d", wrongVersion.count)
	}
	return refusal, sum, nil
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
