package group

import (
	"context"
	"errors"
	"time"

	"github.com/sheafdb/sheaf/internal/wal"
)

// Solo is a group of one replica with a log of its own: for a program that needs a group
// and no node.
type Solo struct {
	*Group
	log     *wal.Log
	journal *Journal
}

// OpenSolo opens the log, brings cfg.Store up to date from it, and starts the group. cfg
// needs neither IDs nor what comes from the log. The store stays the caller's.
func OpenSolo(ctx context.Context, cfg Config, logConfig wal.Config) (_ *Solo, err error) {
	cfg.ID, cfg.Replica = 1, 1
	if err := Seed(cfg.Store, []uint64{cfg.Replica}); err != nil {
		return nil, err
	}
	recovery := NewRecovery(cfg.ID, cfg.Store, 0, cfg.Feed, cfg.Logger)
	logConfig.Found = recovery.Found
	s := &Solo{}
	if s.log, err = wal.Open(logConfig, recovery.Visit); err != nil {
		return nil, err
	}
	s.journal = NewJournal(s.log, cfg.Logger)
	cfg.Log, cfg.Journal, cfg.Incarnation = s.log, s.journal, uint64(time.Now().UnixNano())
	if cfg.Saved, err = recovery.Saved(s.log); err == nil {
		s.Group, err = Start(ctx, cfg)
	}
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// LogBytes is how much the log holds.
func (s *Solo) LogBytes() int64 { return s.log.SizeBytes() }

// Close stops the group and closes its log.
func (s *Solo) Close() error {
	s.Stop()
	return s.close()
}

func (s *Solo) close() error {
	s.journal.Close()
	return s.log.Close()
}
