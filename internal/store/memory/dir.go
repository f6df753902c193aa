package memory

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	snapshotPrefix = "snapshot-"
	tempSuffix     = ".tmp"
	lockName       = "LOCK"
)

func snapshotName(index uint64) string { return fmt.Sprintf("%s%016x", snapshotPrefix, index) }

// parseSnapshotName is the inverse of snapshotName.
func parseSnapshotName(name string) (index uint64, ok bool) {
	digits, ok := strings.CutPrefix(name, snapshotPrefix)
	if !ok || len(digits) != 16 {
		return 0, false
	}
	index, err := strconv.ParseUint(digits, 16, 64)
	return index, err == nil && snapshotName(index) == name
}

func newestSnapshot(fsys vfs.FS, dir string) (newest uint64, ok bool, err error) {
	names, err := fsys.List(dir)
	if err != nil {
		return 0, false, err
	}
	for _, name := range names {
		if index, isSnapshot := parseSnapshotName(name); isSnapshot {
			newest, ok = max(newest, index), true
		}
	}
	return newest, ok, nil
}

// removeOthers removes the snapshots but that of index, and files half written.
// It is called when that snapshot is known to be whole, never before.
func removeOthers(fsys vfs.FS, dir string, index uint64) error {
	names, err := fsys.List(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		other, isSnapshot := parseSnapshotName(name)
		half := strings.HasPrefix(name, snapshotPrefix) && strings.HasSuffix(name, tempSuffix)
		if half || isSnapshot && other != index {
			if err := fsys.Remove(fsys.PathJoin(dir, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// makeDir makes dir, and makes sure that it is still there after a power cut:
// a directory's name is on disk when its parent is synced.
func makeDir(fsys vfs.FS, dir string) error {
	if _, err := fsys.Stat(dir); err == nil {
		return nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	parent := fsys.PathDir(dir)
	if parent != dir {
		if err := makeDir(fsys, parent); err != nil {
			return err
		}
	}
	if err := fsys.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return syncDir(fsys, parent)
}

func syncDir(fsys vfs.FS, dir string) error {
	f, err := fsys.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
