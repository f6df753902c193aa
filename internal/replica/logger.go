package replica

import (
	"fmt"
	"log/slog"
)

// raftLogger hands what raft says to slog. Almost all of it is for who debugs raft.
type raftLogger struct{ logger *slog.Logger }

func (l raftLogger) Debug(v ...any) { l.logger.Debug("raft", "says", fmt.Sprint(v...)) }

func (l raftLogger) Debugf(format string, v ...any) {
	l.logger.Debug("raft", "says", fmt.Sprintf(format, v...))
}

func (l raftLogger) Info(v ...any) { l.logger.Debug("raft", "says", fmt.Sprint(v...)) }

func (l raftLogger) Infof(format string, v ...any) {
	l.logger.Debug("raft", "says", fmt.Sprintf(format, v...))
}

func (l raftLogger) Warning(v ...any) { l.logger.Warn("raft", "says", fmt.Sprint(v...)) }
func (l raftLogger) Warningf(format string, v ...any) {
	l.logger.Warn("raft", "says", fmt.Sprintf(format, v...))
}

func (l raftLogger) Error(v ...any) { l.logger.Error("raft", "says", fmt.Sprint(v...)) }
func (l raftLogger) Errorf(format string, v ...any) {
	l.logger.Error("raft", "says", fmt.Sprintf(format, v...))
}

// Broken is what a Core panics with when raft finds that its state contradicts itself or what
// others know of it, as a disk does that lost what it had acknowledged, or was put back to an
// older copy. Nothing may be served after that, and the Core must not be used.
type Broken struct{ Says string }

// Error is what raft says.
func (b *Broken) Error() string { return "raft: " + b.Says }

func (l raftLogger) Fatal(v ...any)                 { panic(&Broken{fmt.Sprint(v...)}) }
func (l raftLogger) Fatalf(format string, v ...any) { panic(&Broken{fmt.Sprintf(format, v...)}) }
func (l raftLogger) Panic(v ...any)                 { panic(&Broken{fmt.Sprint(v...)}) }
func (l raftLogger) Panicf(format string, v ...any) { panic(&Broken{fmt.Sprintf(format, v...)}) }
