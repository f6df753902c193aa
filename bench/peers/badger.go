package main

import (
	"context"
	"os"

	"github.com/dgraph-io/badger/v4"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/bench/contest"
)

// badgerDB is badger in this process; a batch is one transaction.
type badgerDB struct{ db *badger.DB }

// startBadger returns what opens badger with its defaults, except that it does
// not look for conflicts: transactions that read nothing have none.
func startBadger(sync bool) contest.Start {
	return func(_ context.Context, _ *contest.Arena, dir string) (contest.Contestant, error) {
		db, err := badger.Open(badger.DefaultOptions(dir).WithSyncWrites(sync).WithDetectConflicts(false).WithLogger(nil))
		if err != nil {
			return nil, err
		}
		return &badgerDB{db}, nil
	}
}

// Write commits one transaction. The keys and values do not change until then.
func (b *badgerDB) Write(entries []sheaf.Entry) (int, error) {
	return 0, b.db.Update(func(txn *badger.Txn) error {
		for i := range entries {
			if err := txn.Set(entries[i].Key, entries[i].Value); err != nil {
				return err
			}
		}
		return nil
	})
}

// PIDs is this process.
func (b *badgerDB) PIDs() []int { return []int{os.Getpid()} }

// Close closes the database.
func (b *badgerDB) Close() error { return b.db.Close() }
