//go:build failpoints

package failpoint

import (
	"path/filepath"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// FS returns a file system whose syncs may be slow, hang or fail.
func FS(fs vfs.FS) vfs.FS { return brokenFS{fs} }

type brokenFS struct{ vfs.FS }

func (fs brokenFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := fs.FS.Create(name, category)
	return broken(f, name), err
}

func (fs brokenFS) OpenReadWrite(name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	f, err := fs.FS.OpenReadWrite(name, category, opts...)
	return broken(f, name), err
}

func (fs brokenFS) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := fs.FS.ReuseForWrite(oldname, newname, category)
	return broken(f, newname), err
}

func broken(f vfs.File, name string) vfs.File {
	if f == nil {
		return nil
	}
	return &brokenFile{f, filepath.Base(filepath.Dir(name)) == "log"}
}

// brokenFile is one that may be written to.
type brokenFile struct {
	vfs.File
	ofLog bool
}

func (f *brokenFile) sync() error {
	if f.ofLog {
		if err := hit("log.sync"); err != nil {
			return err
		}
	}
	return hit("disk.sync")
}

// Sync implements vfs.File.
func (f *brokenFile) Sync() error {
	if err := f.sync(); err != nil {
		return err
	}
	return f.File.Sync()
}

// SyncData implements vfs.File.
func (f *brokenFile) SyncData() error {
	if err := f.sync(); err != nil {
		return err
	}
	return f.File.SyncData()
}

// SyncTo implements vfs.File.
func (f *brokenFile) SyncTo(length int64) (bool, error) {
	if err := f.sync(); err != nil {
		return false, err
	}
	return f.File.SyncTo(length)
}
