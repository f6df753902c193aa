package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/cockroachdb/pebble/v2"

	"github.com/sheafdb/sheaf"
	store "github.com/sheafdb/sheaf/internal/store/pebble"
)

// direct is Pebble without Sheaf: in this process, durable by its own log.
type direct struct{ db *pebble.DB }

// startPebble opens Pebble tuned as internal/store/pebble has it, with its log.
func startPebble(_ context.Context, _ *arena, dir string) (contestant, error) {
	opts := store.Tuning(store.DefaultConfig())
	opts.Logger = quiet{}
	db, err := pebble.Open(dir, opts)
	if err != nil {
		return nil, err
	}
	return &direct{db}, nil
}

func (d *direct) write(entries []sheaf.Entry) (retries int, err error) {
	batch := d.db.NewBatch()
	defer func() { err = errors.Join(err, batch.Close()) }()
	for i := range entries {
		if err := batch.Set(entries[i].Key, entries[i].Value, nil); err != nil {
			return 0, err
		}
	}
	return 0, batch.Commit(pebble.Sync)
}

func (d *direct) pid() int     { return os.Getpid() }
func (d *direct) close() error { return d.db.Close() }

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
