package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/uuid"

	"github.com/sheafdb/sheaf/internal/backup"
	"github.com/sheafdb/sheaf/internal/config"
	"github.com/sheafdb/sheaf/internal/group"
	"github.com/sheafdb/sheaf/internal/router"
	"github.com/sheafdb/sheaf/internal/store"
	"github.com/sheafdb/sheaf/internal/wal"
)

// RestoreOptions say where a backup is restored to.
type RestoreOptions struct {
	// Dir is the data directory to make. It must be empty, not there, or left by a restore
	// that was cut short.
	Dir string
	// Store is the kind of store.
	Store string
	// FS is the file system of Dir; nil is the real one.
	FS     vfs.FS
	Logger *slog.Logger
}

// Restored says what was restored.
type Restored struct {
	Header   backup.Header
	Sections []backup.Section
}

// versionsApart is how far a restored state's clock is ahead of the backup's. The cluster may
// have given versions after the backup that clients still hold: none of them may be given again,
// to another value. What is written after a restore is above all of them, unless there were as
// many.
const versionsApart = 1 << 32

// Restore makes a data directory of one node from a backup: of a new cluster, with the old
// one's groups, keys and request IDs, and without its members. From beginning to end the file
// RESTORING is in the directory, with which no node starts. After an error the directory is
// as it was before.
func Restore(ctx context.Context, from io.Reader, opts RestoreOptions) (Restored, error) {
	if opts.FS == nil {
		opts.FS = vfs.Default
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	reader, err := backup.Open(from)
	if err != nil {
		return Restored{}, err
	}
	header := reader.Header()
	if header.Groups > router.MaxGroups {
		return Restored{}, fmt.Errorf("it has %d groups and this version of sheaf takes %d: use the version that made it (%s)", header.Groups, router.MaxGroups, header.Version)
	}
	cfg := config.Default()
	cfg.DataDir, cfg.Store = opts.Dir, opts.Store
	if !slices.Contains(config.Stores, opts.Store) {
		return Restored{}, fmt.Errorf("there is no store %q", opts.Store)
	}
	dir, err := beginRestore(opts.FS, opts.Dir)
	if err != nil {
		return Restored{}, err
	}
	dir.identity = identity{Format: dataFormat, NodeID: uuid.NewString(), Store: opts.Store, Created: time.Now().UTC(), ID: 1, Groups: header.Groups}
	r := &restore{
		node:   &Node{cfg: cfg, opts: Options{FS: opts.FS, Logger: opts.Logger}, dir: dir, done: make(chan struct{})},
		reader: reader,
	}
	r.node.setState(stateRecovering)
	ended := make(chan error, 1)
	go func() { ended <- r.run(ctx) }()
	select {
	case err = <-ended:
	case <-r.node.done: // the store cannot go on, and its goroutines sleep
		return Restored{}, r.node.failure
	}
	if err == nil {
		return Restored{Header: header, Sections: r.sections}, dir.close()
	}
	if left := clearRestore(dir); left != nil {
		return Restored{}, errors.Join(err, left, dir.close())
	}
	return Restored{}, errors.Join(err, dir.withdraw())
}

// restoringFile is there while a data directory is not whole.
const restoringFile = "RESTORING"

// notRestored are the names in a data directory that a restore leaves alone, and the mark before
// it is one.
var notRestored = []string{lockFile, "lost+found", restoringFile + ".tmp"}

// beginRestore makes, locks and marks the directory.
func beginRestore(fs vfs.FS, path string) (*dataDir, error) {
	d, err := lockDataDir(fs, path)
	if err != nil {
		return nil, err
	}
	names, err := d.others()
	if err == nil && len(names) > 0 && !slices.Contains(names, restoringFile) {
		err = fmt.Errorf("the directory %s is not empty: choose another, or empty it if nobody needs what it has (%s)", d.path, names[0])
	}
	if err == nil && len(names) > 0 {
		err = clearRestore(d)
	}
	if err == nil {
		err = d.write(restoringFile, []byte("A backup is being restored here. Without this file the directory would be taken for whole.\n"))
	}
	if err != nil {
		return nil, errors.Join(err, d.withdraw())
	}
	return d, nil
}

// others are the names in the directory but those that a restore leaves alone.
func (d *dataDir) others() ([]string, error) {
	names, err := d.fs.List(d.path)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", d.path, err)
	}
	return slices.DeleteFunc(names, func(name string) bool { return slices.Contains(notRestored, name) }), nil
}

// clearRestore removes what a restore made, the mark last.
func clearRestore(d *dataDir) error {
	names, err := d.others()
	if err != nil {
		return err
	}
	for _, name := range names {
		if name != restoringFile {
			if err := d.fs.RemoveAll(d.file(name)); err != nil {
				return fmt.Errorf("remove what a restore has left: %w", err)
			}
		}
	}
	if err := syncDir(d.fs, d.path); err != nil {
		return err
	}
	return ignoreMissing(d.fs.Remove(d.file(restoringFile)))
}

// checkWhole refuses a directory that a restore has not finished.
func (d *dataDir) checkWhole() error {
	_, err := d.fs.Stat(d.file(restoringFile))
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	return fmt.Errorf("a backup was being restored into the data directory %s, and that did not come to its end: run \"sheaf restore\" again, which begins anew", d.path)
}

// restore is one at work.
type restore struct {
	node     *Node
	reader   *backup.Reader
	sections []backup.Section

	// What follows is of the group being restored.

	place *place
	chunk chunk
	index uint64 // of what was applied last
}

func (r *restore) run(ctx context.Context) error {
	if err := r.load(ctx); err != nil {
		return err
	}
	for _, s := range r.sections {
		if err := r.compare(ctx, s); err != nil {
			return fmt.Errorf("compare group %d with the backup: %w", s.Group, err)
		}
	}
	if err := r.makeLog(); err != nil {
		return fmt.Errorf("make the log: %w", err)
	}
	d := r.node.dir
	if err := d.writeIdentity(); err != nil {
		return err
	}
	if err := d.fs.Remove(d.file(restoringFile)); err != nil {
		return err
	}
	return syncDir(d.fs, d.path)
}

// load reads the whole backup into stores.
func (r *restore) load(ctx context.Context) (err error) {
	defer func() {
		if r.place != nil {
			err = errors.Join(err, r.place.close())
		}
	}()
	return r.reader.Read(backup.Visitor{
		Begin: func(s backup.Section) (err error) {
			r.index = 0
			r.place, err = openPlace(r.node, uint64(s.Group))
			return err
		},
		Record: func(space store.Space, key, value []byte) error {
			r.chunk.add(space, key, value)
			if !r.chunk.full() {
				return nil
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			return r.apply()
		},
		End: func(s backup.Section) error {
			if err := r.end(s); err != nil {
				return fmt.Errorf("restore group %d: %w", s.Group, err)
			}
			return nil
		},
	})
}

// apply puts the chunk into the store.
func (r *restore) apply() error {
	if len(r.chunk.out.Ops) == 0 {
		return nil
	}
	if err := r.room(); err != nil {
		return err
	}
	r.index++
	r.chunk.out.Meta = store.Meta{Index: r.index, Term: 1}
	if err := r.place.current().Apply(&r.chunk.out); err != nil {
		return err
	}
	r.chunk.out.Reset()
	r.chunk.bytes = 0
	return nil
}

// end gives the state its Meta and makes it durable. A raft group begins with it, so its term is
// the first.
func (r *restore) end(s backup.Section) error {
	if err := r.apply(); err != nil {
		return err
	}
	meta := metaAfter(s.Meta)
	meta.Index = max(meta.Index, r.index+1)
	if err := group.Begin(r.place.current(), meta, r.node.voters()); err != nil {
		return err
	}
	if _, err := r.place.current().Flush(); err != nil {
		return err
	}
	if err := r.place.noteState(stateFile{Dir: firstState, Adopted: meta.Index}); err != nil {
		return err
	}
	err := r.place.close()
	r.place = nil
	if err == nil {
		r.sections = append(r.sections, s)
	}
	return err
}

// metaAfter is the Meta that a restored state begins with.
func metaAfter(m store.Meta) store.Meta {
	m.Term, m.Held = 1, 0
	m.Clock += versionsApart
	return m
}

// compare reads a restored store from the disk and compares all that it has with what the backup
// said.
func (r *restore) compare(ctx context.Context, s backup.Section) (err error) {
	p, err := openPlace(r.node, uint64(s.Group))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	image, err := p.current().Image()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, image.Close()) }()
	taken, err := image.Take()
	if err != nil {
		return err
	}
	want := metaAfter(s.Meta)
	want.Index = taken.Meta.Index
	if taken.Meta != want || taken.Meta.Index < s.Meta.Index {
		return fmt.Errorf("the state is at %+v, not at %+v", taken.Meta, want)
	}
	var counted backup.Counter
	records := 0
	err = image.Walk(func(space store.Space, key, value []byte) error {
		if records++; records%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		counted.Add(space, key, value)
		return nil
	})
	if err == nil && (counted.Counts != s.Counts || counted.Sum != s.Sum) {
		err = fmt.Errorf("it has %+v, sum %x, and the backup %+v, sum %x: the disk or the memory of this machine changes what it is given", counted.Counts, counted.Sum, s.Counts, s.Sum)
	}
	return err
}

// firstSegmentBytes is the size of the segment that a restored log begins with. The next are of
// the size that the node's disk asks for.
const firstSegmentBytes = 1 << 20

// makeLog makes a log without entries: the states stand before its first.
func (r *restore) makeLog() error {
	n := r.node
	log, err := wal.Open(wal.Config{
		FS: n.opts.FS, Dir: n.dir.logDir(), SegmentBytes: firstSegmentBytes, Spares: -1, Logger: n.opts.Logger,
		Found: func(wal.HardState) {},
	}, func(wal.Entry) error { return errors.New("the log is not empty") })
	if err != nil {
		return err
	}
	return log.Close()
}

// room refuses to go on when the disk is nearly full: a store would wait for room, for ever.
func (r *restore) room() error {
	usage, err := r.node.opts.FS.GetDiskUsage(r.node.dir.path)
	if err != nil {
		return nil //nolint:nilerr // a file system that does not tell
	}
	if low := sizesFor(int64(usage.TotalBytes), 0, 0, 0).lowWater; int64(usage.AvailBytes) < low {
		return fmt.Errorf("%d MiB are free on the disk of %s, and a node needs %d MiB free to take writes: make room, or choose another directory", usage.AvailBytes>>20, r.node.dir.path, low>>20)
	}
	return nil
}

// chunk gathers records for one Apply.
type chunk struct {
	out   store.Mutations
	bytes int
}

// chunkBytes is from where a chunk is full.
const chunkBytes = 1 << 20

func (c *chunk) add(space store.Space, key, value []byte) {
	own := c.out.Scratch(func(dst []byte) []byte { return append(append(dst, key...), value...) })
	c.out.Set(space, own[:len(key):len(key)], nil, own[len(key):])
	c.bytes += len(own)
}

func (c *chunk) full() bool { return c.bytes >= chunkBytes }
