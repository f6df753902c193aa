package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/sheafdb/sheaf"
)

// dirSource reads a directory tree, in the order of its names: each regular file
// is a key, its path below dir with slashes, whose value is the file's contents.
// What is neither a file nor a directory is bad, and so is a file that cannot be
// read; symbolic links are not followed, so a loop or a way out of dir does no
// harm.
func dirSource(dir string) source {
	return func(yield func(*record, error) bool) {
		root, err := os.OpenRoot(dir)
		if err != nil {
			yield(nil, err)
			return
		}
		defer root.Close()
		stopped := errors.New("the consumer stopped")
		err = fs.WalkDir(root.FS(), ".", func(path string, d fs.DirEntry, err error) error {
			if path == "." && err != nil {
				return err
			}
			if err == nil && d.IsDir() {
				return nil
			}
			rec := record{where: filepath.Join(dir, filepath.FromSlash(path))}
			if err == nil {
				rec.entry, err = readFile(root, path, d)
			}
			rec.bytes, rec.bad = int64(len(rec.entry.Value)), err
			if !yield(checked(&rec), nil) {
				return stopped
			}
			return nil
		})
		if err != nil && !errors.Is(err, stopped) {
			yield(nil, err)
		}
	}
}

// readFile does not read a file that is larger than a value may be.
func readFile(root *os.Root, path string, d fs.DirEntry) (sheaf.Entry, error) {
	if !d.Type().IsRegular() {
		return sheaf.Entry{}, fmt.Errorf("is a %s, not a regular file", kindOfFile(d.Type()))
	}
	info, err := d.Info()
	if err != nil {
		return sheaf.Entry{}, err
	}
	if most := sheaf.DefaultLimits().ValueBytes; info.Size() > int64(most) {
		return sheaf.Entry{}, fmt.Errorf("has %s: a value has at most %s", humanBytes(info.Size()), humanBytes(int64(most)))
	}
	contents, err := root.ReadFile(filepath.FromSlash(path))
	if err != nil {
		return sheaf.Entry{}, err
	}
	return sheaf.Entry{Key: []byte(path), Value: contents}, nil
}

func kindOfFile(mode fs.FileMode) string {
	switch {
	case mode&fs.ModeSymlink != 0:
		return "symbolic link"
	case mode&fs.ModeNamedPipe != 0:
		return "named pipe"
	case mode&fs.ModeSocket != 0:
		return "socket"
	}
	return "special file"
}

// measureDir adds up the files that dirSource would read, for the progress bar.
func measureDir(dir string) (bytes int64) {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if info, err := d.Info(); err == nil && info.Size() <= int64(sheaf.DefaultLimits().ValueBytes) {
				bytes += info.Size()
			}
		}
		return nil // dirSource tells what cannot be read
	})
	return bytes
}
