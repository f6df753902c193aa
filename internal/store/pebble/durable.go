package pebble

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	"github.com/sheafdb/sheaf/internal/store"
)

// durable follows what is on disk. Pebble says when a flush has ended, but holds
// its mutex while it says so, and an iterator may want that mutex: so a flush
// only wakes a goroutine of the store's own, which reads the Meta and writes the
// mark.
type durable struct {
	// index never goes down, and is never above what is on disk nor above the mark.
	index atomic.Uint64
	// mu makes refreshes follow each other.
	mu sync.Mutex

	// flushed has room for one wake-up; watcher is closed when the goroutine ended.
	flushed chan struct{}
	watcher chan struct{}
}

// Durable returns the Meta.Index up to which everything is on disk. It may be
// behind a flush that just ended in the background.
func (s *Store) Durable() uint64 { return s.durable.index.Load() }

// watchFlushes keeps Durable up to date until the store is closed.
func (s *Store) watchFlushes() {
	defer close(s.durable.watcher)
	for {
		select {
		case <-s.durable.flushed:
			if err := s.refreshDurable(); err != nil {
				// An index that stays too low costs only log.
				s.logger.Error("durable index not refreshed", "err", err)
			}
		case <-s.closing:
			return
		}
	}
}

// refreshDurable raises the index to what is on disk, the mark first: whoever
// was told of an index may cut the log by it, and must learn of its loss.
func (s *Store) refreshDurable() error {
	s.durable.mu.Lock()
	defer s.durable.mu.Unlock()
	meta, err := s.durableMeta()
	if err != nil || meta.Index <= s.durable.index.Load() {
		return err
	}
	if err := writeMark(s.fs, s.dir, meta.Index); err != nil {
		return err
	}
	s.durable.index.Store(meta.Index)
	return nil
}

// durableMeta reads the Meta past the memtables. Pebble answers this from the
// tables in its MANIFEST alone, and both are synced before a flush has ended.
func (s *Store) durableMeta() (meta store.Meta, err error) {
	iter, err := s.db.NewIter(&pebble.IterOptions{
		LowerBound:                metaKey,
		UpperBound:                []byte{metaKey[0] + 1},
		OnlyReadGuaranteedDurable: true,
	})
	if err != nil {
		return meta, fmt.Errorf("read durable Meta: %w", s.readError(err))
	}
	if iter.First() {
		var data []byte
		if data, err = iter.ValueAndErr(); err == nil {
			if meta, err = decodeMeta(data); err != nil {
				err = store.Corruptf(s.dir, "%v", err)
			}
		}
	}
	// Close reports the error that ended the iteration, if there was one.
	if closeErr := iter.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return store.Meta{}, fmt.Errorf("read durable Meta: %w", s.readError(err))
	}
	return meta, nil
}

// Flush drains what was applied, waits until Pebble has written it out, and returns
// the new Durable. Pebble tries a flush again until it works, also after Flush
// returned its first error.
func (s *Store) Flush() (uint64, error) {
	s.flushMu.Lock()
	defer s.flushMu.Unlock()
	err := s.flush()
	if err == nil {
		err = s.refreshDurable()
	}
	if err != nil {
		err = fmt.Errorf("flush store: %w", s.readError(err))
	}
	return s.durable.index.Load(), err
}

func (s *Store) flush() error {
	before := s.flushesBegun.Load()
	var index uint64
	for {
		s.writing.Lock()
		last, wait, err := s.stage.sealAll()
		s.writing.Unlock()
		if index = last; err != nil {
			return err
		}
		if wait == nil {
			break
		}
		if err := s.awaitDrain(wait, before); err != nil {
			return err
		}
	}
	for {
		done, wait, err := s.stage.flushedTo(index)
		if done || err != nil {
			return err
		}
		if err := s.awaitDrain(wait, before); err != nil {
			return err
		}
	}
}

// awaitDrain waits for the stage to change, or says why it does not: Pebble's flush, of
// those begun after before, or what the drain waits for has failed.
func (s *Store) awaitDrain(wait <-chan struct{}, before uint64) error {
	for {
		select {
		case <-wait:
			return nil
		case failed := <-s.flushErrors:
			// Pebble is still trying what an earlier caller was told of.
			if failed.number > before {
				return failed.err
			}
		case <-s.closing:
			return errClosed
		}
	}
}

// flushError is why one of Pebble's flushes failed.
type flushError struct {
	number uint64
	err    error
}
