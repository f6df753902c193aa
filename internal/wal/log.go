package wal

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Entry is one raft entry of one group. Its data is Head followed by Body: two
// slices, so that a header need not be copied in front of a large payload.
//
// Append reads both until it returns and neither changes nor keeps them. On
// replay all data is in Body, Head is nil, and Body is valid only during the
// callback.
type Entry struct {
	Group, Term, Index uint64
	Head, Body         []byte
}

// HardState is what raft must not forget about a group besides its entries.
type HardState struct {
	Group, Term, Vote, Commit uint64
}

// Log is an open log. One goroutine appends; every other method may be called
// at any time by any goroutine.
type Log struct {
	fs     vfs.FS
	dir    string
	cfg    Config
	logger *slog.Logger
	fresh  bool
	logID  uint64
	spares *spareSet

	// failed is set once, by the first write or sync that fails.
	failed atomic.Pointer[error]

	// writeMu is held over every write to a segment, with its sync. The fields
	// below it are the writer's.
	writeMu sync.Mutex
	closed  bool
	active  activeSegment
	// firstLive is the first live segment according to a durable record.
	firstLive uint64
	frame     frame
	writer    vecWriter
	batch     uint64   // number of the batch that is checked
	touched   []*group // groups of that batch
	cuts      []savingCut

	// mu guards the index. It is never held over I/O.
	mu    sync.Mutex
	index index
}

// activeSegment is the end of the log, where records are appended.
type activeSegment struct {
	*segment
	header segmentHeader
	seed   uint32
	file   vfs.File
	fd     uintptr // vfs.InvalidFd if file is not backed by a descriptor

	// offset is where the next record goes. Everything before durable is on
	// disk; offset is beyond it only by a mark.
	offset, durable int64
	// claimed is the highest durable offset that a record in the segment
	// carries. Below it damage is told from a tear.
	claimed int64
}

// Dir returns the directory of the log.
func (l *Log) Dir() string { return l.dir }

// Fresh says that Open found no log and created this one. Whether that is
// legitimate only the caller can know: with a store that has data it is not.
func (l *Log) Fresh() bool { return l.fresh }

// SizeBytes returns how many bytes the live segments hold. Segment files are
// larger, since they are written through before they are used.
func (l *Log) SizeBytes() (n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.index.segments {
		n += s.end
	}
	return n
}

// SealedBytes is SizeBytes without the segment that is appended to: what a Cut
// can drop. Bound this, not SizeBytes: one large entry has a segment of its own,
// which goes only after another has taken its place.
func (l *Log) SealedBytes() (n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.index.segments[:len(l.index.segments)-1] {
		n += s.end
	}
	return n
}

// Pins says whether the oldest segment is kept for entries of group, so that a cut of it may
// free some. The segment that is written to is never freed.
func (l *Log) Pins(group uint64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	g := l.index.groups[group]
	return g != nil && len(l.index.segments) > 1 && l.index.segments[0].highest[group] > g.cut
}

// FirstIndex returns the first entry of group that was not cut, 0 if the log
// has no entry of it.
func (l *Log) FirstIndex(group uint64) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if g := l.index.groups[group]; g != nil && g.cut < g.last {
		return g.cut + 1
	}
	return 0
}

// LastIndex returns the last durable entry of group, 0 if the log has no entry
// of it.
func (l *Log) LastIndex(group uint64) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if g := l.index.groups[group]; g != nil && g.cut < g.last {
		return g.last
	}
	return 0
}

// HardState returns the latest durable hard state of group, zero but for Group
// if there is none.
func (l *Log) HardState(group uint64) HardState {
	l.mu.Lock()
	defer l.mu.Unlock()
	if g := l.index.groups[group]; g != nil {
		return g.state
	}
	return HardState{Group: group}
}

// Close saves cuts, marks the end of the log, and releases its files. An Append
// that is running finishes first.
func (l *Log) Close() error {
	l.writeMu.Lock()
	defer l.writeMu.Unlock()
	if l.closed {
		return nil
	}
	var errs []error
	if l.failed.Load() == nil {
		errs = append(errs, l.finish())
	}
	l.closed = true
	errs = append(errs, l.active.file.Close())
	l.spares.close()
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close log: %w", err)
	}
	return nil
}

// finish writes what only memory has, as far as there is room for it.
func (l *Log) finish() error {
	l.mu.Lock()
	l.takeCuts()
	room := l.hasRoom(int64(len(l.cuts)+2) * recordHeaderBytes)
	l.mu.Unlock()
	if len(l.cuts) > 0 && room {
		l.beginFrame()
		l.frameCuts()
		return l.commitFrame()
	}
	if err := l.mark(); err != nil {
		return err
	}
	if err := l.active.file.SyncData(); err != nil {
		return l.fail(fmt.Errorf("sync %s: %w", l.active.path, err))
	}
	return nil
}

// usable returns the error of a log that can not be written any more.
func (l *Log) usable() error {
	if err := l.failed.Load(); err != nil {
		return *err
	}
	if l.closed {
		return ErrClosed
	}
	return nil
}

// fail makes the log unusable, for the reason that is given first.
func (l *Log) fail(cause error) error {
	err := fmt.Errorf("%w: %w", ErrFailed, cause)
	l.failed.CompareAndSwap(nil, &err)
	return *l.failed.Load()
}
