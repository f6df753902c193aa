package main

import (
	"io"
	"log/slog"

	"github.com/sheafdb/sheaf/internal/wal"
)

// sheafLog is internal/wal, with the spares of a node.
type sheafLog struct {
	log   *wal.Log
	entry [1]wal.Entry
}

func startSheaf(dir string) (contestant, error) {
	log, err := wal.Open(wal.Config{
		Dir: dir, SegmentBytes: segmentBytes, Recycled: recycledSegments,
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}, nil)
	if err != nil {
		return nil, err
	}
	return &sheafLog{log: log, entry: [1]wal.Entry{{Group: 1, Term: 1}}}, nil
}

func (s *sheafLog) append(batch []byte) error {
	s.entry[0].Index++
	s.entry[0].Body = batch
	return s.log.Append(s.entry[:], nil)
}

func (s *sheafLog) cut() error   { return s.log.Cut(1, s.entry[0].Index) }
func (s *sheafLog) close() error { return s.log.Close() }
