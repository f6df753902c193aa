package group

import (
	"context"
	"fmt"
	"time"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/apply"
	"github.com/sheafdb/sheaf/internal/store"
	"github.com/sheafdb/sheaf/internal/wire"
)

// ReadRequest asks for keys at one level.
type ReadRequest struct {
	Keys  [][]byte
	Level sheaf.Consistency
	// After: at Sequential, do not answer from a state older than this version.
	After uint64
	// MaxBytes bounds the keys and values of the answer.
	MaxBytes int
}

// ReadResult is one instant of the keys asked for, in that order.
type ReadResult struct {
	// Items own their values; their keys are the request's.
	Items []sheaf.Item
	ETag  wire.ETagSum
}

// staleRetry is the wait advised when a replica is behind a session.
const staleRetry = 50 * time.Millisecond

// Read returns the keys as of one instant. With a single replica every level
// reads the newest state; SEQUENTIAL refuses with STALE_REPLICA when even that
// is older than After.
func (g *Group) Read(ctx context.Context, req ReadRequest) (ReadResult, error) {
	if err := ctx.Err(); err != nil {
		return ReadResult{}, &sheaf.Error{Code: sheaf.NotProposed, Err: err}
	}
	view := g.cfg.Store.View()
	defer view.Close() //nolint:errcheck // reading is over
	meta := view.Meta()
	if refusal := apply.CheckAfter(req.After, meta.Clock); refusal != nil {
		return ReadResult{}, refusal
	}
	if req.Level == sheaf.Sequential && req.After > meta.Clock {
		return ReadResult{}, &sheaf.Error{
			Code: sheaf.StaleReplica, RetryAfter: staleRetry,
			Detail: fmt.Sprintf("after is %d but this replica is at %d", req.After, meta.Clock),
		}
	}
	result := ReadResult{Items: make([]sheaf.Item, len(req.Keys))}
	var values arena
	total := 0
	named := wire.NewKeySet()
	defer named.Release()
	for i, key := range req.Keys {
		item := &result.Items[i]
		item.Key = key
		total += len(key) + itemOverheadBytes
		data, ok, err := view.Get(store.Data, key)
		if err != nil {
			return ReadResult{}, readError(err)
		}
		if !ok {
			continue
		}
		record, err := wire.DecodeRecord(data)
		if err != nil {
			return ReadResult{}, readError(fmt.Errorf("%w: key %q: %w", store.ErrCorrupt, key, err))
		}
		if !record.Live(meta.NowMS) {
			continue
		}
		if total += len(record.Value) + len(record.TypeURL); total > req.MaxBytes {
			return ReadResult{}, sheaf.Errorf(sheaf.BatchTooLarge,
				"the answer is larger than %d bytes (limits.batch_bytes): ask for fewer keys; %d of %d fit", req.MaxBytes, i, len(req.Keys))
		}
		item.Found, item.Version = true, record.Version
		item.Value = values.copy(record.Value)
		item.TypeURL = string(record.TypeURL)
		if _, again := named.Add(key); !again {
			result.ETag.AddKey(key, record.Version)
		}
	}
	return result, nil
}

// itemOverheadBytes is what an item costs in an answer beside its bytes.
const itemOverheadBytes = 24

// arena copies many small values with few allocations.
type arena struct{ free []byte }

const arenaChunkBytes = 64 << 10

func (a *arena) copy(value []byte) []byte {
	if len(value) > len(a.free) {
		if len(value) > arenaChunkBytes/4 {
			return append([]byte{}, value...)
		}
		a.free = make([]byte, arenaChunkBytes)
	}
	n := copy(a.free, value)
	out := a.free[:n:n]
	a.free = a.free[n:]
	return out
}
