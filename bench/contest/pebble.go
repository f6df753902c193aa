package contest

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/cockroachdb/pebble/v2"

	"github.com/sheafdb/sheaf"
	store "github.com/sheafdb/sheaf/internal/store/pebble"
)

// direct is Pebble without Sheaf, in this process.
type direct struct {
	db    *pebble.DB
	write *pebble.WriteOptions
}

// Pebble opens Pebble tuned as internal/store/pebble has it: with its log, one
// synced write batch per call, or without a log at all.
func Pebble(log bool) Start {
	return func(_ context.Context, _ *Arena, dir string) (Contestant, error) {
		opts := store.Tuning(store.DefaultConfig())
		opts.Logger = quiet{}
		opts.DisableWAL = !log
		db, err := pebble.Open(dir, opts)
		if err != nil {
			return nil, err
		}
		if log {
			return &direct{db, pebble.Sync}, nil
		}
		return &direct{db, pebble.NoSync}, nil
	}
}

// Write commits one write batch.
func (d *direct) Write(entries []sheaf.Entry) (retries int, err error) {
	batch := d.db.NewBatch()
	defer func() { err = errors.Join(err, batch.Close()) }()
	for i := range entries {
		if err := batch.Set(entries[i].Key, entries[i].Value, nil); err != nil {
			return 0, err
		}
	}
	return 0, batch.Commit(d.write)
}

// PIDs is this process.
func (d *direct) PIDs() []int { return []int{os.Getpid()} }

// Close closes the database.
func (d *direct) Close() error { return d.db.Close() }

// quiet drops what Pebble tells of its flushes, and not what stops it.
type quiet struct{}

// Infof drops the message.
func (quiet) Infof(string, ...any) {}

// Errorf prints the message.
func (quiet) Errorf(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "pebble: "+format+"\n", args...)
}

// Fatalf prints the message and ends the process, as Pebble expects.
func (q quiet) Fatalf(format string, args ...any) {
	q.Errorf(format, args...)
	os.Exit(1)
}
