package pebble

import (
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// runDrain moves sealed runs to Pebble until the store is closed: it sorts a run and
// makes one write batch of it, in order. A write batch of this size does not go
// through Pebble's skiplist but becomes a flushable of its own, and one that is
// sorted already is cheap to make. While Pebble writes one run out, the next is
// sorted.
func (s *Store) runDrain() {
	defer close(s.drainDone)
	var sorter sorter
	var flushed <-chan struct{} // closed when the run before is on disk
	var index uint64            // of the run before
	for {
		r, wait := s.stage.oldest()
		if r == nil {
			select {
			case <-flushed:
				s.stage.onDisk(index)
				flushed = nil // which is never ready
			case <-wait:
			case <-s.closing:
				return
			}
			continue
		}
		began := time.Now()
		to := r.meta.Index // before drop, after which the run may begin anew
		err := s.drain(r, &sorter, flushed, index)
		if err == nil {
			index = to
			s.stage.drop(r, time.Since(began))
			flushed, err = s.db.AsyncFlush()
		}
		if err != nil {
			if !errors.Is(err, errClosed) {
				s.failDrain(fmt.Errorf("drain to log entry %d: %w", to, s.readError(err)))
			}
			return
		}
	}
}

// drain commits one run, when the one before is on disk and compactions keep up.
func (s *Store) drain(r *run, sorter *sorter, flushed <-chan struct{}, index uint64) error {
	batch := s.db.NewBatchWithSize(r.used)
	defer batch.Close()
	adviseHuge(batch.Repr())
	if err := batch.Set(metaKey, appendMeta(nil, r.meta), nil); err != nil {
		return err
	}
	if err := s.fill(batch, r, sorter.sort(r)); err != nil {
		return err
	}
	if flushed != nil {
		select {
		case <-flushed:
			s.stage.onDisk(index)
		case <-s.closing:
			return errClosed
		}
	}
	if err := s.waitForCompactions(); err != nil {
		return err
	}
	return batch.Commit(pebble.NoSync)
}

// touchAhead is how many records ahead the memory is touched.
const touchAhead = 8

// fill copies the records into the write batch, in order. The records of neighbouring
// keys are far apart in memory: the loads of one begin while those before it are copied.
func (s *Store) fill(batch *pebble.Batch, r *run, items []sortItem) error {
	touched := byte(0)
	for i, item := range items {
		if ahead := i + touchAhead; ahead < len(items) {
			rec := r.at(items[ahead].address)
			touched ^= rec[recordHeadBytes] ^ rec[min(len(rec)-1, 2*cacheLineBytes)]
		}
		if err := addRecord(batch, r.at(item.address)); err != nil {
			return err
		}
	}
	s.touched = touched
	return nil
}

const cacheLineBytes = 64

// addRecord copies a record into the write batch.
func addRecord(batch *pebble.Batch, rec record) error {
	key, value := rec.key(), rec.value()
	var slot *pebble.DeferredBatchOp
	if rec.deletes() {
		slot = batch.DeleteDeferred(1 + len(key))
	} else {
		slot = batch.SetDeferred(1+len(key), len(value))
		copy(slot.Value, value)
	}
	slot.Key[0] = byte(rec.space())
	copy(slot.Key[1:], key)
	return slot.Finish()
}

// compactionPoll is how often a full L0 is looked at.
const compactionPoll = 5 * time.Millisecond

// waitForCompactions returns when L0 has room for one more run. Pebble would hold up
// the commit itself, but could not be closed meanwhile.
func (s *Store) waitForCompactions() error {
	defer s.drainWaits.Store(false)
	for s.db.Metrics().Levels[0].Sublevels >= l0Files {
		s.drainWaits.Store(true)
		select {
		case <-s.closing:
			return errClosed
		case <-time.After(compactionPoll):
		}
	}
	return nil
}

// failDrain remembers why nothing more goes to Pebble: the next Apply and every Flush
// answer it.
func (s *Store) failDrain(err error) {
	s.stage.mu.Lock()
	defer s.stage.mu.Unlock()
	s.stage.failed = err
	s.stage.notify()
}
