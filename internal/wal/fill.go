package wal

import (
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	// fillChunkBytes is written and synced at a time when a spare is made, so
	// that no fdatasync of the log waits behind more than this.
	fillChunkBytes = 1 << 20
	// fillPauseFactor times the duration of a chunk is the pause after it: the
	// spares take at most a third of what the disk gives.
	fillPauseFactor = 2
)

// ask lets the background goroutine look whether spares are missing.
func (s *spareSet) ask() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.full = false
	s.asked++
	s.changed.Broadcast()
}

// fill makes spares whenever there are too few.
func (s *spareSet) fill() {
	defer close(s.done)
	for {
		s.mu.Lock()
		for !s.closed && (s.full || len(s.ready) >= s.want) {
			s.changed.Wait()
		}
		closed, asked := s.closed, s.asked
		s.mu.Unlock()
		if closed {
			return
		}
		if err := s.make(); err != nil {
			s.logger.Warn("cannot make a spare log segment", "err", err)
			s.mu.Lock()
			// An ask that came while this one failed is another reason to try.
			s.full = s.asked == asked
			s.mu.Unlock()
		}
	}
}

// make writes one spare, unless it becomes needless meanwhile.
func (s *spareSet) make() error {
	path := s.newPath()
	file, err := s.fs.OpenReadWrite(path, writeCategory)
	if err != nil {
		return err
	}
	stillWanted := func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return !s.closed && len(s.ready) < s.want
	}
	err = s.writeZeros(file, s.segmentBytes, stillWanted)
	if err == nil {
		err = file.Sync()
	}
	if err != nil {
		s.discard(path, file)
		return err
	}
	s.mu.Lock()
	wanted := !s.closed && len(s.ready) < s.want
	if wanted {
		s.ready = append(s.ready, path)
		s.changed.Broadcast()
	}
	s.mu.Unlock()
	if !wanted {
		s.discard(path, file)
		return nil
	}
	return file.Close()
}

// writeZeros fills a file chunk by chunk, while it is wanted. The pauses end
// with the set.
func (s *spareSet) writeZeros(file vfs.File, bytes int64, wanted func() bool) error {
	chunk := make([]byte, min(fillChunkBytes, bytes))
	for offset := int64(0); offset < bytes && wanted(); {
		begin := time.Now()
		n := min(int64(len(chunk)), bytes-offset)
		if _, err := file.WriteAt(chunk[:n], offset); err != nil {
			return err
		}
		if err := file.SyncData(); err != nil {
			return err
		}
		offset += n
		pause := time.NewTimer(fillPauseFactor * time.Since(begin))
		select {
		case <-pause.C:
		case <-s.stop:
			pause.Stop()
		}
	}
	return nil
}
