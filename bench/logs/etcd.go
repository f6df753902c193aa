package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
)

// etcdLog is etcd's log. It leaves the removal of files to its caller; etcd does
// it from a timer, this contestant in cut.
type etcdLog struct {
	log  *wal.WAL
	dir  string
	last uint64
}

func startEtcd(dir string) (contestant, error) {
	dir = filepath.Join(dir, "wal") // Create wants to make it itself
	log, err := wal.Create(zap.NewNop(), dir, nil)
	if err != nil {
		return nil, err
	}
	return &etcdLog{log: log, dir: dir}, nil
}

func (e *etcdLog) append(batch []byte) error {
	e.last++
	term, index := uint64(1), e.last
	return e.log.Save(nil, []*raftpb.Entry{{Term: &term, Index: &index, Data: batch}})
}

// cut removes every segment whose successor begins at or below the last entry.
func (e *etcdLog) cut() error {
	if err := e.log.ReleaseLockTo(e.last); err != nil {
		return err
	}
	names, err := filepath.Glob(filepath.Join(e.dir, "*.wal"))
	if err != nil {
		return err
	}
	slices.Sort(names) // sequence number and first index, in hexadecimal
	for i := range len(names) - 1 {
		var seq, first uint64
		if _, err := fmt.Sscanf(filepath.Base(names[i+1]), "%016x-%016x.wal", &seq, &first); err != nil {
			return fmt.Errorf("read the name of %s: %w", names[i+1], err)
		}
		if first > e.last {
			return nil
		}
		if err := os.Remove(names[i]); err != nil {
			return err
		}
	}
	return nil
}

func (e *etcdLog) close() error { return e.log.Close() }
