package pebble

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"os"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// listener hears of Pebble's background work. Pebble holds its mutex while it
// calls, so nothing here waits or calls Pebble.
func (s *Store) listener() *pebble.EventListener {
	// flushErr is the error of the flush that just ended; Pebble's mutex guards
	// it. An empty flush ends with an error too, but only a failed one is also
	// reported as a background error.
	var flushErr error
	return &pebble.EventListener{
		FlushBegin: func(pebble.FlushInfo) { s.flushesBegun.Add(1) },
		FlushEnd: func(info pebble.FlushInfo) {
			flushErr = info.Err
			select {
			case s.durable.flushed <- struct{}{}:
			default:
			}
		},
		BackgroundError: func(err error) {
			s.complain("pebble background work failed", err)
			switch {
			case err != nil && err == flushErr:
				// Pebble runs one flush at a time: this is the one begun last.
				s.reportFlush(flushError{s.flushesBegun.Load(), err})
			case err != nil && s.drainWaits.Load():
				// A compaction, without which no flush will be begun.
				s.reportFlush(flushError{math.MaxUint64, err})
			}
		},
		// Pebble's own default ends the process. Here the read that found the
		// damage answers it, and reads of other blocks go on.
		DataCorruption: func(info pebble.DataCorruptionInfo) {
			s.logger.Error("damaged file found", "file", info.Path, "err", info.Details)
			if s.damaged != nil {
				s.damaged(fmt.Errorf("damaged file %s", info.Path))
			}
		},
		WriteStallBegin: func(info pebble.WriteStallBeginInfo) {
			s.logger.Warn("apply waits for the disk", "reason", info.Reason)
		},
	}
}

// reportFlush tells whoever waits in Flush; the first error is the answer.
func (s *Store) reportFlush(failed flushError) {
	select {
	case s.flushErrors <- failed:
	default:
	}
}

// logger is Pebble's logger.
type logger struct{ s *Store }

// Infof is chatter about flushes and compactions.
func (l logger) Infof(format string, args ...any) {
	if l.s.logger.Enabled(context.Background(), slog.LevelDebug) {
		l.s.logger.Debug("pebble", "detail", fmt.Sprintf(format, args...))
	}
}

// Errorf is an error that Pebble lives with.
func (l logger) Errorf(format string, args ...any) {
	l.s.complain("pebble", fmt.Errorf(format, args...))
}

// complainEvery bounds how often an error of Pebble's background work is logged:
// it tries again at once, so a full disk is hundreds of errors a second.
const complainEvery = time.Second

func (s *Store) complain(msg string, err error) {
	now := time.Now().UnixNano()
	if last := s.complained.Load(); now-last >= int64(complainEvery) && s.complained.CompareAndSwap(last, now) {
		s.logger.Error(msg, "err", err)
	}
}

// Fatalf does not return: what follows in Pebble counts on that.
func (l logger) Fatalf(format string, args ...any) {
	l.s.die(fmt.Errorf(format, args...))
}

// die ends the process. Where Fatal returns, it parks the goroutine: to unwind
// it would let go of Pebble's locks with the work under them half done.
func (s *Store) die(err error) {
	s.fatal(fmt.Errorf("store cannot go on: %w", err))
	select {}
}

func exitProcess(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
