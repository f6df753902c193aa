package crashtest

import (
	"fmt"
	"io"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// lockingFS is a MemFS with another Lock: MemFS.Lock takes the lock that CrashClone waits
// for, and then takes it again in Create, which waits behind CrashClone for ever.
type lockingFS struct {
	*vfs.MemFS
	mu     sync.Mutex
	locked map[string]bool
}

func (fs *lockingFS) Lock(name string) (io.Closer, error) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.locked[name] {
		return nil, fmt.Errorf("%s is locked", name)
	}
	f, err := fs.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, err
	}
	if fs.locked == nil {
		fs.locked = make(map[string]bool)
	}
	fs.locked[name] = true
	return &heldLock{f, fs, name}, nil
}

type heldLock struct {
	vfs.File
	fs   *lockingFS
	name string
}

func (l *heldLock) Close() error {
	l.fs.mu.Lock()
	defer l.fs.mu.Unlock()
	delete(l.fs.locked, l.name)
	return l.File.Close()
}
