package wal

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Open opens the log in cfg.Dir, which it makes when missing, or creates one
// there (see Log.Fresh). It calls visit, which may be nil, for each entry that
// is in the log and not cut, oldest first: each once, by ascending index within
// a group, and only when the whole log was found sound. An error of visit ends
// Open with that error.
//
// A torn tail, the trace of a crash, is repaired and logged. Damage is refused
// with a *CorruptError, and nothing is changed.
func Open(cfg Config, visit func(Entry) error) (*Log, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	l := &Log{fs: cfg.FS, dir: cfg.Dir, cfg: cfg, logger: cfg.Logger, index: newIndex()}
	if err := l.open(visit); err != nil {
		if l.active.file != nil {
			_ = l.active.file.Close() // the error that ended Open says more
		}
		if l.spares != nil {
			l.spares.close()
		}
		return nil, fmt.Errorf("open log in %s: %w", cfg.Dir, err)
	}
	l.spares.start()
	return l, nil
}

func (l *Log) open(visit func(Entry) error) error {
	if err := makeDir(l.fs, l.dir); err != nil {
		return err
	}
	files, err := listFiles(l.fs, l.dir)
	if err != nil {
		return err
	}
	if l.spares, err = newSpareSet(l.cfg); err != nil {
		return err
	}
	if len(files.segments) == 0 {
		if err := l.adoptSpares(files.spares); err != nil {
			return err
		}
		return l.create()
	}
	r := &recovery{fs: l.fs, dir: l.dir, files: files, index: &l.index, runs: make(map[uint64]*liveRuns)}
	if err := r.check(); err != nil {
		return err
	}
	if err := l.resume(r); err != nil {
		return err
	}
	if err := l.adoptSpares(files.spares); err != nil {
		return err
	}
	if err := l.scrapLeftovers(r); err != nil {
		return err
	}
	if l.cfg.Found != nil {
		for _, g := range l.index.order {
			l.cfg.Found(g.state)
		}
	}
	if visit == nil {
		return nil
	}
	return r.replay(visit)
}

// create begins a log in an empty directory.
func (l *Log) create() error {
	l.logID = randomUint64()
	const firstSeq = 1
	active, err := l.begin(firstSeq, 0, firstSeq)
	if err != nil {
		return err
	}
	l.active, l.firstLive, l.fresh = active, firstSeq, true
	l.index.segments = []*segment{active.segment}
	return nil
}

// resume makes the checked log ready for the next Append. What was read may
// still be in the page cache only, if a process was killed before its sync; it
// becomes durable here, before anyone acts on it.
func (l *Log) resume(r *recovery) error {
	s := l.index.segments[len(l.index.segments)-1]
	file, err := l.fs.OpenReadWrite(s.path, writeCategory)
	if err != nil {
		return fmt.Errorf("open the last log segment: %w", err)
	}
	l.active = openedAt(s, r.header, file, r.found.end, r.found.claimed)
	l.logID, l.firstLive, l.batch = r.header.logID, r.found.firstLive, r.batch

	if r.tail.torn {
		l.logger.Warn("log ends in a torn write, which is dropped", "file", s.path, "offset", r.found.end)
		if err := writeZeros(file, r.found.end, r.tail.zeroTo); err != nil {
			return fmt.Errorf("repair %s: %w", s.path, err)
		}
	}
	if err := file.SyncData(); err != nil {
		return fmt.Errorf("sync %s: %w", s.path, err)
	}
	if n := len(l.index.segments); n > 1 && !r.found.used {
		// The seal before an empty segment may not have been synced.
		if err := syncFile(l.fs, l.index.segments[n-2].path); err != nil {
			return err
		}
	}
	if r.unborn != "" {
		if err := l.fs.Remove(r.unborn); err != nil {
			return fmt.Errorf("remove a log segment that was never used: %w", err)
		}
	}
	return l.spares.syncDir()
}

func (l *Log) adoptSpares(numbers []uint64) error {
	for _, n := range numbers {
		if err := l.spares.adopt(n); err != nil {
			return err
		}
	}
	return nil
}

// scrapLeftovers finishes drops that a crash interrupted.
func (l *Log) scrapLeftovers(r *recovery) error {
	var paths []string
	for _, seq := range r.files.segments {
		if seq < r.found.firstLive {
			paths = append(paths, r.path(seq))
		}
	}
	if len(paths) == 0 {
		return nil
	}
	return errors.Join(l.spares.recycle(paths))
}

// makeDir makes a directory and syncs the parents of what it made.
func makeDir(fs vfs.FS, dir string) error {
	var made []string
	for at := dir; ; at = fs.PathDir(at) {
		if _, err := fs.Stat(at); err == nil || at == fs.PathDir(at) {
			break
		}
		made = append(made, at)
	}
	if len(made) == 0 {
		return nil
	}
	if err := fs.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make log directory: %w", err)
	}
	for _, at := range made {
		parent, err := fs.OpenDir(fs.PathDir(at))
		if err == nil {
			err = errors.Join(parent.Sync(), parent.Close())
		}
		if err != nil {
			return fmt.Errorf("sync the parent of the log directory: %w", err)
		}
	}
	return nil
}

func syncFile(fs vfs.FS, path string) error {
	file, err := fs.OpenReadWrite(path, writeCategory)
	if err == nil {
		err = errors.Join(file.SyncData(), file.Close())
	}
	if err != nil {
		return fmt.Errorf("sync %s: %w", path, err)
	}
	return nil
}

// writeZeros overwrites file from offset from up to offset to.
func writeZeros(file vfs.File, from, to int64) error {
	chunk := make([]byte, min(fillChunkBytes, to-from))
	for from < to {
		n := min(int64(len(chunk)), to-from)
		if _, err := file.WriteAt(chunk[:n], from); err != nil {
			return err
		}
		from += n
	}
	return nil
}
