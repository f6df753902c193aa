package group

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/sheafdb/sheaf/internal/store"
	"github.com/sheafdb/sheaf/internal/wal"
	"github.com/sheafdb/sheaf/internal/wire"
)

// Replay brings a store up to date from the log, after a crash or a restart. Its
// Visit is what wal.Open calls with every entry that the log holds.
type Replay struct {
	group   uint64
	store   store.Store
	logger  *slog.Logger
	applied uint64
	count   uint64
	out     store.Mutations
	began   time.Time
	told    time.Time
}

// NewReplay begins where the store stands.
func NewReplay(group uint64, s store.Store, logger *slog.Logger) *Replay {
	now := time.Now()
	return &Replay{group: group, store: s, logger: logger, applied: viewMeta(s).Index, began: now, told: now}
}

// progressEvery is how often a long replay says how far it is.
const progressEvery = time.Second

// Visit applies one log entry unless the store has it.
func (r *Replay) Visit(e wal.Entry) error {
	if e.Group != r.group {
		return fmt.Errorf("replay: log entry of group %d, which this node does not have", e.Group)
	}
	if e.Index <= r.applied {
		return nil
	}
	if e.Index != r.applied+1 {
		return store.Corruptf("the store", "it is at log entry %d but the log begins at %d: the entries between are missing", r.applied, e.Index)
	}
	cmd, err := wire.DecodeCommand(e.Body)
	if err != nil {
		return fmt.Errorf("replay log entry %d: %w", e.Index, err)
	}
	if _, err := applyEntry(r.store, &cmd, e.Index, e.Term, &r.out); err != nil {
		return fmt.Errorf("replay: %w", err)
	}
	r.applied = e.Index
	r.count++
	if r.count%64 == 0 && time.Since(r.told) >= progressEvery {
		r.told = time.Now()
		r.logger.Info("replaying the log", "group", r.group, "index", r.applied, "entries", r.count,
			"seconds", int(time.Since(r.began).Seconds()))
	}
	return nil
}

// Applied is the index that the store has reached.
func (r *Replay) Applied() uint64 { return r.applied }

// Count is how many entries were applied.
func (r *Replay) Count() uint64 { return r.count }
