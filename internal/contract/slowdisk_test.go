package contract

import (
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// slowDisk is a file system whose log can be held at its fsync, or made to fail
// there: what lies between "taken" and "on disk" is otherwise too short to meet.
type slowDisk struct {
	vfs.FS

	mu      sync.Mutex
	held    chan struct{} // closed by release; nil while nothing is held
	arrived chan struct{} // closed by the first fsync that is held
	failure error
	files   map[string]*slowFile // by the names that they have at the moment
}

// hold makes every fsync of the log wait. arrived is closed when one does.
func (d *slowDisk) hold() (arrived <-chan struct{}, release func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	held, first := make(chan struct{}), make(chan struct{})
	d.held, d.arrived = held, first
	return first, sync.OnceFunc(func() {
		d.mu.Lock()
		d.held, d.arrived = nil, nil
		d.mu.Unlock()
		close(held)
	})
}

// fail makes every fsync of the log fail from here on.
func (d *slowDisk) fail(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failure = err
}

// OpenReadWrite is how the log opens its files.
func (d *slowDisk) OpenReadWrite(name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	opened, err := d.FS.OpenReadWrite(name, category, opts...)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	f := &slowFile{File: opened, disk: d, segment: isSegment(name)}
	if d.files == nil {
		d.files = make(map[string]*slowFile)
	}
	d.files[name] = f
	return f, nil
}

// Rename is watched because the log writes files ahead under another name: only
// with the right one are they a part of it.
func (d *slowDisk) Rename(from, to string) error {
	d.mu.Lock()
	if f := d.files[from]; f != nil {
		f.segment = isSegment(to)
		d.files[to] = f
	}
	d.mu.Unlock()
	return d.FS.Rename(from, to)
}

func isSegment(name string) bool { return strings.HasSuffix(name, ".wal") }

type slowFile struct {
	vfs.File
	disk    *slowDisk
	segment bool // guarded by the disk's mutex
}

// SyncData is the fsync of an append.
func (f *slowFile) SyncData() error {
	f.disk.mu.Lock()
	held, failure := f.disk.held, f.disk.failure
	if !f.segment {
		held, failure = nil, nil
	} else if f.disk.arrived != nil {
		close(f.disk.arrived)
		f.disk.arrived = nil
	}
	f.disk.mu.Unlock()
	if held != nil {
		<-held
	}
	if failure != nil {
		return failure
	}
	return f.File.SyncData()
}
