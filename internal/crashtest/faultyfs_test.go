package crashtest

import (
	"strings"
	"sync"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// syncFault is a file system whose n-th sync of a log segment fails, once. The
// syncs after it succeed, as they do on a kernel that dropped the pages.
//
// A segment is opened under a spare's name and renamed; errorfs knows a file by
// the name it was opened with, so this one follows the renames.
type syncFault struct {
	vfs.FS
	mu    sync.Mutex
	names map[*syncFaultFile]string
	left  int           // syncs until the one that fails
	hit   chan struct{} // closed when it has failed
}

func newSyncFault(fs vfs.FS, n int) *syncFault {
	return &syncFault{FS: fs, names: make(map[*syncFaultFile]string), left: n, hit: make(chan struct{})}
}

func (f *syncFault) OpenReadWrite(name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	file, err := f.FS.OpenReadWrite(name, category, opts...)
	if err != nil {
		return nil, err
	}
	wrapped := &syncFaultFile{File: file, fs: f}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.names[wrapped] = name
	return wrapped, nil
}

func (f *syncFault) Rename(from, to string) error {
	if err := f.FS.Rename(from, to); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for file, name := range f.names {
		if name == from {
			f.names[file] = to
		}
	}
	return nil
}

// fails counts a sync of file and says whether it is the one.
func (f *syncFault) fails(file *syncFaultFile) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !strings.HasSuffix(f.names[file], ".wal") {
		return false
	}
	if f.left--; f.left != 0 {
		return false
	}
	close(f.hit)
	return true
}

type syncFaultFile struct {
	vfs.File
	fs *syncFault
}

func (file *syncFaultFile) SyncData() error {
	if file.fs.fails(file) {
		return syscall.EIO
	}
	return file.File.SyncData()
}

func (file *syncFaultFile) Close() error {
	file.fs.mu.Lock()
	delete(file.fs.names, file)
	file.fs.mu.Unlock()
	return file.File.Close()
}
