package pebble

import (
	"errors"
	"log/slog"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Config says where the store is and how much memory it may use.
type Config struct {
	// FS is the file system; tests hand in one that can crash.
	FS vfs.FS
	// Dir is the store's directory. Nothing else may be in it.
	Dir string
	// CacheBytes bounds the cache of blocks read from disk.
	CacheBytes int64
	// RunBytes is the size of one run of the stage. Up to maxSealed+1 of them are in
	// memory, beside one on its way to the disk, and all are applied from the log
	// again after a crash.
	RunBytes int
	// Logger gets Pebble's messages; nil drops them.
	Logger *slog.Logger
	// Fatal is called when Pebble cannot go on, for example because its MANIFEST
	// cannot be written. It should end the process; if it returns, the goroutine
	// that called it sleeps forever. nil prints the error and exits with 1.
	Fatal func(error)
	// Damaged is called when a damaged file is found; nil is allowed. It must not
	// call the store.
	Damaged func(error)
}

// DefaultConfig is for a node that holds one group. FS and Dir are to be set.
func DefaultConfig() Config {
	return Config{FS: vfs.Default, CacheBytes: 256 << 20, RunBytes: 64 << 20}
}

// Validate says what is wrong with the configuration.
func (c Config) Validate() error {
	switch {
	case c.FS == nil:
		return errors.New("FS is not set")
	case c.Dir == "":
		return errors.New("Dir is not set")
	case c.CacheBytes <= 0:
		return errors.New("CacheBytes must be positive")
	case c.RunBytes < 64<<10 || c.RunBytes > 1<<30:
		return errors.New("RunBytes must be between 64 KiB and 1 GiB")
	}
	return nil
}

const (
	// stagedMemTableBytes is the most for the memtable under the stage: a write batch of
	// more than half of it does not go through its skiplist.
	stagedMemTableBytes = 4 << 20

	// The next three are of Tuning only, Pebble without a stage.

	// memTableBytes: to find a key's place in the skiplist is most of what a write
	// costs, and misses the CPU's caches more the larger it is. Batches of 1,000 entries
	// ran at 0.84 M keys/s with 16 MiB against 0.58 M with 64, flushes and compactions
	// included.
	memTableBytes = 16 << 20
	// memTables may wait for their flush before writers wait: one is filled, one is
	// flushed, and the others take up a slow disk.
	memTables = 8
	// l0Files is the read amplification of L0 at which writers wait for compactions.
	// Pebble's own 12 stalls a bulk load on two cores early.
	l0Files = 48

	// l0Compact is how many files deep L0 is when its compaction begins: as many
	// bytes as four memtables of Pebble's usual size. At 4, half of the server's
	// CPU under a bulk load was compaction, and the disk its limit.
	l0Compact = 16
	// maxCompactions is what a two-core machine has: one compaction at first, which leaves
	// a core to the applier, and two when compactions fall behind.
	maxCompactions = 2
	maxOpenFiles   = 2048
	bloomBits      = 10
)

func (s *Store) options(cfg Config) *pebble.Options {
	opts := Tuning(cfg)
	opts.FS = cfg.FS
	opts.DisableWAL = true
	// Runs do not go through the memtable, but for the small ones that a Flush seals.
	opts.MemTableSize = uint64(min(stagedMemTableBytes, max(64<<10, cfg.RunBytes/8)))
	// The drain waits by itself, for the flush before and for compactions, because it
	// can be told to stop and Pebble's own wait cannot.
	opts.MemTableStopWritesThreshold = 1 << 20
	opts.L0StopWritesThreshold = 1 << 20
	// L0 is written again soon; the levels below are compressed as usual.
	opts.Levels[1].Compression = opts.Levels[0].Compression
	opts.Levels[0].Compression = func() *sstable.CompressionProfile { return sstable.NoCompression }
	if opts.Levels[1].Compression == nil {
		opts.Levels[1].Compression = func() *sstable.CompressionProfile { return sstable.SnappyCompression }
	}
	opts.Logger = logger{s}
	opts.EventListener = s.listener()
	return opts
}

// Tuning returns the options that make Pebble fast for batches, for whoever wants
// to measure it without the rest of this package. Pebble's log is on in them.
func Tuning(cfg Config) *pebble.Options {
	opts := &pebble.Options{
		FormatMajorVersion:          pebble.FormatNewest,
		CacheSize:                   cfg.CacheBytes,
		MemTableSize:                memTableBytes,
		MemTableStopWritesThreshold: memTables,
		L0CompactionThreshold:       l0Compact,
		L0StopWritesThreshold:       l0Files,
		// A full L0 and the level below it then have about the same size.
		LBaseMaxBytes:              64 << 20,
		CompactionConcurrencyRange: func() (lower, upper int) { return 1, maxCompactions },
		MaxOpenFiles:               maxOpenFiles,
	}
	opts.TargetFileSizes[0] = 4 << 20
	// Levels without a policy of their own take that of the level above.
	opts.Levels[0].FilterPolicy = bloom.FilterPolicy(bloomBits)
	return opts
}
