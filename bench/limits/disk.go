package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/bench/contest"
)

// diskFileBytes is the size of a segment of Sheaf's log.
const diskFileBytes = 64 << 20

// disk is what the disk allows a log that syncs every batch by itself: the bytes
// of one batch over blocks that are already written, and fdatasync. A log that
// syncs several callers' batches at once can be faster than this.
type disk struct {
	file   *os.File
	bytes  []byte
	offset int64
}

func startDisk(_ context.Context, _ *contest.Arena, dir string) (contest.Contestant, error) {
	file, err := os.Create(filepath.Join(dir, "blocks"))
	if err != nil {
		return nil, err
	}
	d := &disk{file: file, bytes: make([]byte, contest.BatchBytes)}
	rng := rand.New(rand.NewPCG(3, 0))
	for i := range d.bytes {
		d.bytes[i] = byte(rng.Uint32())
	}
	// Blocks that were only allocated would cost the file system's journal with
	// each sync.
	chunk := make([]byte, 1<<20)
	for range diskFileBytes / len(chunk) {
		if _, err := file.Write(chunk); err != nil {
			return nil, errors.Join(err, file.Close())
		}
	}
	if err := file.Sync(); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return d, nil
}

// Write has one caller. Whatever the entries are, they are as many bytes.
func (d *disk) Write([]sheaf.Entry) (int, error) {
	if d.offset+contest.BatchBytes > diskFileBytes {
		d.offset = 0
	}
	if _, err := d.file.WriteAt(d.bytes, d.offset); err != nil {
		return 0, err
	}
	d.offset += contest.BatchBytes
	return 0, syscall.Fdatasync(int(d.file.Fd()))
}

// PIDs is this process.
func (d *disk) PIDs() []int { return []int{os.Getpid()} }

// Close closes the file.
func (d *disk) Close() error { return d.file.Close() }
