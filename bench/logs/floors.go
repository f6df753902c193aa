package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"unsafe"

	"golang.org/x/sys/unix"
)

// growing appends to a file that grows, and goes on in the next when it has the
// size of a segment: a log without any arrangement.
type growing struct {
	dir    string
	file   *os.File
	number int
	offset int
}

func startGrowing(dir string) (contestant, error) {
	g := &growing{dir: dir}
	return g, g.next()
}

func (g *growing) path(n int) string { return filepath.Join(g.dir, fmt.Sprintf("%d", n)) }

func (g *growing) next() (err error) {
	g.number++
	g.offset = 0
	if g.file, err = os.Create(g.path(g.number)); err != nil {
		return err
	}
	return syncDir(g.dir)
}

func (g *growing) append(batch []byte) error {
	if g.offset+len(batch) > segmentBytes {
		if err := errors.Join(g.file.Close(), g.next()); err != nil {
			return err
		}
	}
	if _, err := g.file.WriteAt(batch, int64(g.offset)); err != nil {
		return err
	}
	g.offset += len(batch)
	return unix.Fdatasync(int(g.file.Fd()))
}

func (g *growing) cut() error {
	for n := g.number - 1; n > 0; n-- {
		if err := os.Remove(g.path(n)); err != nil {
			if errors.Is(err, os.ErrNotExist) {
				return nil // and so are those before it
			}
			return err
		}
	}
	return nil
}

func (g *growing) close() error { return g.file.Close() }

// recycled writes over blocks that were written before, in one file again and
// again: the least that a log on a file can cost.
type recycled struct {
	file   *os.File
	offset int
	write  func(fd int, batch []byte, offset int64) error
}

// startRecycled makes a contestant that writes and syncs with the given function.
func startRecycled(write func(fd int, batch []byte, offset int64) error) func(dir string) (contestant, error) {
	return func(dir string) (contestant, error) {
		file, err := os.Create(filepath.Join(dir, "blocks"))
		if err != nil {
			return nil, err
		}
		chunk := make([]byte, 1<<20)
		for range segmentBytes / len(chunk) {
			if _, err := file.Write(chunk); err != nil {
				return nil, errors.Join(err, file.Close())
			}
		}
		if err := errors.Join(file.Sync(), syncDir(dir)); err != nil {
			return nil, errors.Join(err, file.Close())
		}
		return &recycled{file: file, write: write}, nil
	}
}

func (r *recycled) append(batch []byte) error {
	if r.offset+len(batch) > segmentBytes {
		r.offset = 0
	}
	err := r.write(int(r.file.Fd()), batch, int64(r.offset))
	r.offset += len(batch)
	return err
}

func (r *recycled) cut() error   { return nil }
func (r *recycled) close() error { return r.file.Close() }

// writeThenSync is two calls.
func writeThenSync(fd int, batch []byte, offset int64) error {
	if _, err := unix.Pwrite(fd, batch, offset); err != nil {
		return err
	}
	return unix.Fdatasync(fd)
}

// writeDsync is one call that returns when the bytes are on disk.
func writeDsync(fd int, batch []byte, offset int64) error {
	vec := [1][]byte{batch}
	_, err := unix.Pwritev2(fd, vec[:], offset, unix.RWF_DSYNC)
	return err
}

// direct is recycled past the page cache: O_DIRECT and RWF_DSYNC. The kernel wants
// memory and places that are multiples of a block, so the batch is copied, and its
// last block is written again with the next batch.
type direct struct {
	recycled
	buf  []byte // aligned
	tail int    // bytes at the beginning of buf that are in the file already
}

const blockBytes = 4096

func startDirect(dir string) (contestant, error) {
	c, err := startRecycled(nil)(dir)
	if err != nil {
		return nil, err
	}
	r := c.(*recycled)
	if err := r.file.Close(); err != nil {
		return nil, err
	}
	fd, err := unix.Open(filepath.Join(dir, "blocks"), unix.O_RDWR|unix.O_DIRECT|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open past the page cache: %w", err)
	}
	r.file = os.NewFile(uintptr(fd), "blocks")
	space := make([]byte, maxBatchBytes+3*blockBytes)
	misaligned := int(uintptr(unsafe.Pointer(unsafe.SliceData(space))) % blockBytes)
	return &direct{recycled: *r, buf: space[blockBytes-misaligned:]}, nil
}

func (d *direct) append(batch []byte) error {
	if d.offset+d.tail+len(batch)+blockBytes > segmentBytes {
		d.offset, d.tail = 0, 0
	}
	n := d.tail + copy(d.buf[d.tail:], batch)
	whole := n / blockBytes * blockBytes
	written := (n + blockBytes - 1) / blockBytes * blockBytes
	clear(d.buf[n:written])
	vec := [1][]byte{d.buf[:written]}
	if _, err := unix.Pwritev2(int(d.file.Fd()), vec[:], int64(d.offset), unix.RWF_DSYNC); err != nil {
		return err
	}
	d.offset += whole
	d.tail = copy(d.buf, d.buf[whole:n])
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
