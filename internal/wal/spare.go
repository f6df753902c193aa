package wal

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const writeCategory vfs.DiskWriteCategory = "sheaf-wal"

// spareSet keeps the files that the next segments will be written to, and makes
// them in the background. It also owns the directory's descriptor.
type spareSet struct {
	fs           vfs.FS
	dir          string
	logger       *slog.Logger
	segmentBytes int64
	// want is how many spares are made; keep bounds ready and short together,
	// which is more when a cut gives files back.
	want, keep int

	// dirMu is held over syncs of the directory, which must not overlap.
	dirMu   sync.Mutex
	dirFile vfs.File // nil after close

	mu      sync.Mutex
	changed sync.Cond // of the fields below, L is mu
	// ready has paths of files that are segmentBytes long, written through and
	// synced. What the bytes are does not matter.
	ready []string
	// short has paths of files that are like ready ones but not as long yet: fill
	// writes what they lack. They stem from segments that had no spare.
	short []string
	// nextName is above the number of every spare in the directory.
	nextName uint64
	// full says that the disk had no room for a spare. The next ask clears it.
	full   bool
	asked  uint64 // how often ask was called
	closed bool

	stop chan struct{} // closed by close
	done chan struct{} // closed when fill has returned, nil before start
}

func newSpareSet(cfg Config) (*spareSet, error) {
	dirFile, err := cfg.FS.OpenDir(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("open log directory: %w", err)
	}
	s := &spareSet{
		fs: cfg.FS, dir: cfg.Dir, logger: cfg.Logger, segmentBytes: cfg.SegmentBytes, want: max(cfg.Spares, 0), keep: max(cfg.Spares, 0) + cfg.Recycled,
		dirFile: dirFile, stop: make(chan struct{}),
	}
	s.changed.L = &s.mu
	return s, nil
}

// adopt takes over a spare that an earlier process left.
func (s *spareSet) adopt(n uint64) error {
	path := s.fs.PathJoin(s.dir, spareName(n))
	info, err := s.fs.Stat(path)
	if err != nil {
		return fmt.Errorf("adopt spare segment: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nextName = max(s.nextName, n+1)
	if info.Size() == s.segmentBytes && len(s.ready) < s.keep {
		s.ready = append(s.ready, path)
		return nil
	}
	if err := s.fs.Remove(path); err != nil {
		return fmt.Errorf("remove spare segment: %w", err)
	}
	return nil
}

// start begins to make spares in the background.
func (s *spareSet) start() {
	s.done = make(chan struct{})
	go s.fill()
}

// close stops the background work and waits for it. Ready spares stay for the
// next process.
func (s *spareSet) close() {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	s.closed = true
	close(s.stop)
	s.changed.Broadcast()
	s.mu.Unlock()
	if s.done != nil {
		<-s.done
	}
	s.dirMu.Lock()
	defer s.dirMu.Unlock()
	_ = s.dirFile.Close() // it was only synced, and that was checked
	s.dirFile = nil
}

// syncDir makes names in the directory durable.
func (s *spareSet) syncDir() error {
	s.dirMu.Lock()
	defer s.dirMu.Unlock()
	if s.dirFile == nil {
		return ErrClosed
	}
	if err := s.dirFile.Sync(); err != nil {
		return fmt.Errorf("sync log directory: %w", err)
	}
	return nil
}

// newPath returns the path of a spare that does not exist.
func (s *spareSet) newPath() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nextName++
	return s.fs.PathJoin(s.dir, spareName(s.nextName-1))
}

// take opens a file, under a spare's name, for a segment of the given size. It
// is a ready spare if there is one of that size. Else it is one whose blocks are not
// all written, for which space is set aside where the file system can. Either way it has
// its full length, so that one which is shorter later is known to have lost something.
func (s *spareSet) take(bytes int64) (path string, file vfs.File, err error) {
	if bytes == s.segmentBytes {
		if path = s.pop(&s.ready); path == "" {
			path = s.pop(&s.short)
		}
	}
	written := int64(0)
	if path != "" {
		info, err := s.fs.Stat(path)
		if err == nil && info.Size() <= bytes {
			written = info.Size()
		} else {
			s.logger.Warn("spare log segment is gone", "file", path, "err", err)
			path = ""
		}
	}
	if path == "" {
		path = s.newPath()
	}
	if file, err = s.fs.OpenReadWrite(path, writeCategory); err != nil || written == bytes {
		return path, file, err
	}
	err = file.Preallocate(0, bytes)
	switch {
	case errors.Is(err, syscall.EOPNOTSUPP) || errors.Is(err, syscall.ENOSYS):
		_, err = s.writeZeros(file, written, bytes, func() bool { return true })
	case err == nil:
		_, err = file.WriteAt([]byte{0}, bytes-1)
	}
	if err != nil {
		s.discard(path, file)
		return path, nil, err
	}
	return path, file, nil
}

// pop takes the last file of a list of the set, "" if there is none.
func (s *spareSet) pop(list *[]string) (path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(*list); n > 0 {
		path = (*list)[n-1]
		*list = (*list)[:n-1]
	}
	return path
}

// discard closes and removes a spare that could not be used.
func (s *spareSet) discard(path string, file vfs.File) {
	if err := errors.Join(file.Close(), s.fs.Remove(path)); err != nil {
		s.logger.Warn("cannot remove spare log segment", "file", path, "err", err)
	}
}
