package main

import (
	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	raftwal "github.com/hashicorp/raft-wal"
)

// raftWAL is hashicorp/raft-wal.
type raftWAL struct {
	log   *raftwal.WAL
	first uint64 // not cut
	entry raft.Log
}

func startRaftWAL(dir string) (contestant, error) {
	log, err := raftwal.Open(dir, raftwal.WithSegmentSize(segmentBytes), raftwal.WithLogger(hclog.NewNullLogger()))
	if err != nil {
		return nil, err
	}
	return &raftWAL{log: log, first: 1, entry: raft.Log{Term: 1}}, nil
}

func (r *raftWAL) append(batch []byte) error {
	r.entry.Index++
	r.entry.Data = batch
	return r.log.StoreLog(&r.entry)
}

// cut keeps the last entry: without any, raft-wal begins a new segment at once.
func (r *raftWAL) cut() error {
	last := r.entry.Index - 1
	if last < r.first {
		return nil
	}
	err := r.log.DeleteRange(r.first, last)
	r.first = last + 1
	return err
}

func (r *raftWAL) close() error { return r.log.Close() }
