// Package pebble keeps a group's state in Pebble, on disk, behind a stage in memory.
//
// Log entries are applied to the stage: hash tables of a bounded size, called runs. A
// full run is sealed, sorted and given to Pebble as one large write batch in the order
// of its keys. So a key costs a place in a hash table while its caller waits, and not
// a search in a skiplist; and what is written several times in a row reaches Pebble
// once. Reads look at the runs first and at Pebble below them.
//
// Pebble's own log is off: the group's log is the durability. A run is one write batch
// that carries the Meta after its last log entry with the keys, and Pebble flushes
// write batches in the order they came, so what is on disk is always the state after
// some log entry, whole. That is the only invariant the rest leans on.
//
// Keys on disk are the space's number (one byte) and then the key. Space 0 is
// this package's: it holds the Meta under the key of one byte.
//
// The package does not keep a log, does not flush on Close (Pebble does not
// either when its log is off) and takes no checkpoints (Pebble's would leave
// the memtable out).
package pebble

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/sheafdb/sheaf/internal/store"
)

// errClosed answers a call that Close overtook.
var errClosed = errors.New("store is closed")

// Store is a store.Store on Pebble.
type Store struct {
	db     *pebble.DB
	fs     vfs.FS
	dir    string
	logger *slog.Logger
	fatal  func(error)
	// damaged is told of damaged files; it may be nil.
	damaged func(error)

	stage stage
	// writing keeps a Flush from sealing the run that Apply writes to.
	writing   sync.Mutex
	drainDone chan struct{}
	// drainWaits is set while the drain waits for compactions.
	drainWaits atomic.Bool
	touched    byte // keeps the drain's loads ahead from being optimised away

	// Only the one goroutine that applies touches these: the index of the last log
	// entry, its memory, and the time that it owes to the pace.
	applied uint64
	hashes  []uint64
	owed    time.Duration

	due     dueBounds
	durable durable

	// flushMu makes one Flush wait for another, so that flushErrors belongs to
	// the one that holds it. It has room for one: the first error is the answer.
	flushMu     sync.Mutex
	flushErrors chan flushError
	// complained is when an error of the background work was last logged.
	complained atomic.Int64
	// flushesBegun numbers Pebble's flushes.
	flushesBegun atomic.Uint64

	closing chan struct{}
}

var _ store.Store = (*Store)(nil)

// Open opens the store in cfg.Dir, or makes an empty one. An error about
// damaged files wraps store.ErrCorrupt.
func Open(cfg Config) (*Store, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	s := &Store{
		fs:          cfg.FS,
		dir:         cfg.Dir,
		logger:      cfg.Logger,
		fatal:       cfg.Fatal,
		damaged:     cfg.Damaged,
		flushErrors: make(chan flushError, 1),
		closing:     make(chan struct{}),
		drainDone:   make(chan struct{}),
		durable:     durable{flushed: make(chan struct{}, 1), watcher: make(chan struct{})},
	}
	if s.logger == nil {
		s.logger = slog.New(slog.DiscardHandler)
	}
	if s.fatal == nil {
		s.fatal = exitProcess
	}
	mark, err := readMark(s.fs, s.dir)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	db, err := pebble.Open(cfg.Dir, s.options(cfg))
	if err != nil {
		return nil, openError(cfg.Dir, err)
	}
	s.db = db
	// Nothing is in a memtable yet, so this Meta is the durable one; and a store
	// whose Meta cannot be read must not come up as an empty one.
	meta, err := s.readMeta(db)
	if err == nil && meta.Index < mark {
		err = store.Corruptf(s.dir, "log entry %d was durable, the files end at %d", mark, meta.Index)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open store: %w", err), db.Close())
	}
	s.applied, s.due.applied = meta.Index, meta.Index
	s.durable.index.Store(meta.Index)
	s.stage.init(meta, cfg.RunBytes)
	go s.watchFlushes()
	go s.runDrain()
	return s, nil
}

// FlushBytes is 0: a flush writes what the log holds.
func (s *Store) FlushBytes() int64 { return 0 }

// Close releases the store. It does not flush: what is not durable comes from
// the log again. Every View and Cursor must be closed before.
func (s *Store) Close() error {
	close(s.closing)
	<-s.drainDone
	<-s.durable.watcher
	// A Flush that waits has seen closing and lets go of the database.
	s.flushMu.Lock()
	defer s.flushMu.Unlock()
	if err := s.db.Close(); err != nil {
		return fmt.Errorf("close store: %w", err)
	}
	return nil
}
