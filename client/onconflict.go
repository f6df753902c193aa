package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/sheafdb/sheaf"
)

// MaxConflictRounds is how often [Client.OnConflict] reads, merges and writes
// before it gives up.
const MaxConflictRounds = 100

// OnConflict is a read, a merge and a write that together happen as if nobody
// else had written the keys in between. It reads the keys, calls merge with
// their values, and writes the entries that merge returns on condition that
// the keys have not changed; if they have, it reads again and calls merge
// again, with back-off, until ctx ends or [MaxConflictRounds] are over. The
// error is then the last mismatch. merge may therefore run many times and
// should only compute. Its own error ends the call and is returned as it is.
//
// What the write depends on:
//
//   - Every entry must be of a key that was read; another is INVALID_BATCH.
//   - If there is an entry for each key, the write carries the ETag that was
//     read: all the keys are as merge saw them.
//   - If merge leaves keys out, each entry carries the version that was read
//     (if_version). The keys left out are then *not* guarded: another write may
//     change them between the read and this write. To depend on a key, return
//     an entry for it, with its old value if need be; that renews its version,
//     and its time to live unless the entry sets one.
//   - If there are no entries, nothing is written and the Result is empty.
//
// An if_version that merge sets itself is replaced: the versions read are the
// condition.
//
// Each round writes with a request ID of its own. OUTCOME_UNKNOWN is not a
// conflict and ends the call; what was written last is then told only by
// reading the keys.
func (c *Client) OnConflict(ctx context.Context, keys [][]byte, merge func(Values) ([]sheaf.Entry, error)) (Result, error) {
	return c.onConflict(ctx, keys, merge, nil)
}

// onConflict asks floor, if not nil, for an option of each write.
func (c *Client) onConflict(ctx context.Context, keys [][]byte, merge func(Values) ([]sheaf.Entry, error), floor func() CallOption) (Result, error) {
	for round := 1; ; round++ {
		values, err := c.read(ctx, "onconflict", keys, nil)
		if err != nil {
			return Result{}, err
		}
		entries, err := merge(values)
		if err != nil || len(entries) == 0 {
			return Result{}, err
		}
		entries, condition, invalid := guard(entries, values)
		if invalid != nil {
			invalid.Op = "onconflict"
			return Result{}, invalid
		}
		if floor != nil {
			condition = append(condition, floor())
		}
		result, err := c.write(ctx, "onconflict", entries, condition)
		if err == nil || ruleOf(sheaf.CodeOf(err)).then != reread || round == MaxConflictRounds {
			return result, err
		}
		wait := time.NewTimer(c.retry.delay(round, 0, rand.Float64()))
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return result, &sheaf.Error{
				Code: sheaf.NotProposed, Op: "onconflict",
				Detail: fmt.Sprintf("ended by the caller after %d rounds, each of which met a conflict", round),
				Err:    errors.Join(ctx.Err(), err),
			}
		}
	}
}

// guard returns entries with the conditions that hold them to values.
func guard(entries []sheaf.Entry, values Values) ([]sheaf.Entry, []WriteOption, *sheaf.Error) {
	versions := make(map[string]uint64, len(values.Items))
	for _, item := range values.Items {
		versions[string(item.Key)] = item.Version
	}
	// Duplicates are the server's to refuse, with the index; until then they
	// must not make an incomplete batch look complete.
	written := make(map[string]bool, len(entries))
	guarded := make([]sheaf.Entry, len(entries))
	for i, entry := range entries {
		version, ok := versions[string(entry.Key)]
		if !ok {
			return nil, nil, sheaf.Invalid(fmt.Sprintf("entries[%d].key", i), "is %q, which was not among the keys read: add it to them", entry.Key)
		}
		written[string(entry.Key)] = true
		guarded[i] = entry.OnlyIfVersion(version)
	}
	if len(written) < len(versions) {
		return guarded, nil, nil
	}
	for i := range guarded {
		guarded[i].IfVersion = nil
	}
	return guarded, []WriteOption{IfMatch(values.ETag)}, nil
}
