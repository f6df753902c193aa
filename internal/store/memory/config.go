package memory

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TableKind chooses the hash table.
type TableKind int

const (
	// Sharded is a shardmap.Bytes: shards, and arenas outside the Go heap.
	Sharded TableKind = iota
	// SyncMap is a sync.Map. It is there to be measured against: it is slower,
	// and a Flush holds up Apply while it lists all keys.
	SyncMap
)

// String is the kind in configuration and logs.
func (k TableKind) String() string {
	switch k {
	case Sharded:
		return "sharded"
	case SyncMap:
		return "syncmap"
	}
	return fmt.Sprintf("TableKind(%d)", int(k))
}

// Config says where the snapshots are and which table holds the keys.
type Config struct {
	// FS is the file system; tests hand in one that can crash.
	FS vfs.FS
	// Dir is the directory of the snapshots. Nothing else may be in it.
	Dir    string
	Table  TableKind
	Logger *slog.Logger
}

// DefaultConfig is a sharded table. Dir is to be set.
func DefaultConfig() Config { return Config{FS: vfs.Default, Table: Sharded} }

// Validate says what is wrong with the configuration.
func (c Config) Validate() error {
	switch {
	case c.FS == nil:
		return errors.New("FS is not set")
	case c.Dir == "":
		return errors.New("Dir is not set")
	case c.Table != Sharded && c.Table != SyncMap:
		return fmt.Errorf("Table is %v", c.Table)
	}
	return nil
}
