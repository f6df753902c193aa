// Package memory keeps a group's state in memory: the keys of Data and Rows in tables,
// the queue in a B-tree.
//
// One read-write lock makes Apply atomic against a View: Apply writes under it, a View
// reads under it until Close. A value may be overwritten in place by a later Apply, so
// whoever keeps one beyond the lock copies it.
//
// Flush writes the whole state to one file, a snapshot, as of one log entry and
// without holding up Apply; Open loads the newest. Between snapshots the group's log is
// the durability.
//
// The package does not bound its memory, does not write single keys to disk and
// never falls back from a damaged snapshot to an older one.
package memory

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/btree"

	"github.com/sheafdb/sheaf/internal/store"
	"github.com/sheafdb/sheaf/shardmap"
)

// errClosed answers a call that Close overtook.
var errClosed = errors.New("store is closed")

// dueDegree is the B-tree's: nodes of about 1 KiB of string headers.
const dueDegree = 32

// Store is a store.Store in memory.
type Store struct {
	fs     vfs.FS
	dir    string
	kind   TableKind
	logger *slog.Logger
	lock   io.Closer

	// batches and dueOps are Apply's memory; only the goroutine that applies touches
	// them.
	batches [tableCount][]shardmap.BytesEntry
	dueOps  []*store.Op

	// mu guards the fields below. Apply changes them all under one hold of it,
	// so they are the state after log entry meta.Index whenever it is free.
	mu     sync.RWMutex
	meta   store.Meta
	tables [tableCount]table
	due    *btree.BTreeG[string]

	// flushMu makes one Flush wait for another.
	flushMu sync.Mutex
	// durable is the index of the newest snapshot that is whole on disk.
	durable atomic.Uint64
	closed  atomic.Bool
	// snapshotBytes is the size of the newest snapshot, changedBytes what has
	// been written to the tables since it was begun: together, a bound on the
	// size of the next.
	snapshotBytes, changedBytes atomic.Int64
}

var _ store.Store = (*Store)(nil)

// Open loads the newest snapshot in cfg.Dir, or makes an empty store. A damaged
// snapshot is an error that wraps store.ErrCorrupt.
func Open(cfg Config) (_ *Store, err error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	s := &Store{fs: cfg.FS, dir: cfg.Dir, kind: cfg.Table, logger: cfg.Logger}
	if s.logger == nil {
		s.logger = slog.New(slog.DiscardHandler)
	}
	for i := range s.tables {
		s.tables[i] = newTable(s.kind)
	}
	s.due = btree.NewOrderedG[string](dueDegree)
	if err := makeDir(s.fs, s.dir); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	s.lock, err = s.fs.Lock(s.fs.PathJoin(s.dir, lockName))
	if err != nil {
		return nil, fmt.Errorf("open store: lock %s: %w", s.dir, err)
	}
	if err := s.load(); err != nil {
		s.closeTables()
		return nil, errors.Join(fmt.Errorf("open store: %w", err), s.lock.Close())
	}
	return s, nil
}

// load finds the newest snapshot, reads it, and then removes what it replaces.
func (s *Store) load() error {
	index, ok, err := newestSnapshot(s.fs, s.dir)
	if err != nil {
		return err
	}
	if ok {
		if err := s.readSnapshot(index); err != nil {
			return err
		}
		s.noteSnapshot(index)
	}
	s.durable.Store(index)
	return removeOthers(s.fs, s.dir, index)
}

// Close ends a Flush that runs, and releases the memory. It does not flush.
// Every View must be closed before.
func (s *Store) Close() error {
	s.closed.Store(true)
	s.flushMu.Lock()
	defer s.flushMu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closeTables()
	if err := s.lock.Close(); err != nil {
		return fmt.Errorf("close store: %w", err)
	}
	return nil
}

func (s *Store) closeTables() {
	for _, t := range s.tables {
		t.close()
	}
}

// Durable returns the index of the newest snapshot.
func (s *Store) Durable() uint64 { return s.durable.Load() }
