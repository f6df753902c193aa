package wal

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	defaultSegmentBytes = 64 << 20
	minSegmentBytes     = 4 << 10
	maxSpares           = 64
)

// Config says where a log lives. Fields that are zero have the value of
// DefaultConfig; Dir is required.
type Config struct {
	// FS is the file system. A file whose Fd is a real descriptor is written
	// with pwritev, any other with WriteAt.
	FS vfs.FS
	// Dir holds the log and nothing else. The caller makes sure that no other
	// process uses it.
	Dir string
	// SegmentBytes is the size of a segment file, 4 KiB to 1 GiB, rounded up to
	// a multiple of eight.
	SegmentBytes int64
	// Spares is how many ready segments are kept, at most 64. Negative keeps
	// none: each segment is then a new file, whose blocks are not written yet.
	Spares int
	// Recycled is how many segments beyond Spares are kept when a cut gives them
	// back. A segment that is recycled need not be written through again, which
	// saves as many bytes as it will hold.
	Recycled int
	// Found, if not nil, is called by Open with the hard state of each group, before
	// any entry is visited.
	Found  func(HardState)
	Logger *slog.Logger
}

// DefaultConfig returns the defaults; Dir is left to the caller.
func DefaultConfig() Config {
	return Config{FS: vfs.Default, SegmentBytes: defaultSegmentBytes, Spares: 1, Logger: slog.Default()}
}

// Validate says what is wrong with a configuration, after its defaults.
func (c Config) Validate() error {
	c = c.withDefaults()
	switch {
	case c.Dir == "":
		return errors.New("log directory is not set")
	case c.SegmentBytes < minSegmentBytes || c.SegmentBytes > maxConfigSegmentBytes:
		return fmt.Errorf("log segment size of %d bytes is not between %d and %d",
			c.SegmentBytes, minSegmentBytes, maxConfigSegmentBytes)
	case c.Spares > maxSpares || c.Recycled < 0 || c.Recycled > maxSpares:
		return fmt.Errorf("%d spare and %d recycled log segments: each is at most %d", c.Spares, c.Recycled, maxSpares)
	}
	return nil
}

func (c Config) withDefaults() Config {
	d := DefaultConfig()
	if c.FS == nil {
		c.FS = d.FS
	}
	if c.SegmentBytes == 0 {
		c.SegmentBytes = d.SegmentBytes
	}
	c.SegmentBytes = padded(c.SegmentBytes)
	if c.Spares == 0 {
		c.Spares = d.Spares
	}
	if c.Logger == nil {
		c.Logger = d.Logger
	}
	return c
}
