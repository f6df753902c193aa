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
		for !s.closed && (s.full || len(s.ready) >= s.want && len(s.short) == 0) {
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

// make finishes a short spare, or writes a new one. What is begun is finished
// while there is a place for it, even if a cut has given others back meanwhile:
// given up, it would have to be begun again whenever the last spare is taken
// shortly before a cut.
func (s *spareSet) make() error {
	path := s.pop(&s.short)
	if path == "" {
		path = s.newPath()
	}
	file, err := s.fs.OpenReadWrite(path, writeCategory)
	if err != nil {
		return err
	}
	var written int64
	info, err := file.Stat()
	if err == nil {
		written, err = s.writeZeros(file, info.Size(), s.segmentBytes, s.hasPlace)
	}
	if err == nil {
		err = file.Sync()
	}
	if err != nil {
		s.discard(path, file)
		return err
	}
	list := &s.ready
	if written < s.segmentBytes { // there was no place for a while
		list = &s.short
	}
	if !s.add(list, path) {
		s.discard(path, file)
		return nil
	}
	return file.Close()
}

// writeZeros fills a file from offset on up to the given size, chunk by chunk,
// while it is wanted, and returns how far it came. The pauses end with the set.
func (s *spareSet) writeZeros(file vfs.File, offset, bytes int64, wanted func() bool) (int64, error) {
	chunk := make([]byte, min(fillChunkBytes, max(bytes-offset, 0)))
	for offset < bytes && wanted() {
		begin := time.Now()
		n := min(int64(len(chunk)), bytes-offset)
		if _, err := file.WriteAt(chunk[:n], offset); err != nil {
			return offset, err
		}
		if err := file.SyncData(); err != nil {
			return offset, err
		}
		offset += n
		pause := time.NewTimer(fillPauseFactor * time.Since(begin))
		select {
		case <-pause.C:
		case <-s.stop:
			pause.Stop()
		}
	}
	return offset, nil
}
