package telemetry

import (
	"strconv"
	"strings"
	"time"
)

// Stage is one named part of a batch's life.
type Stage uint8

// The stages, in the order in which a batch meets them. Serialize and Network
// are the client's; Replicate is the wait for other replicas.
const (
	Serialize Stage = iota
	Network
	Decode
	Admit
	Route
	Log
	Replicate
	Apply
	Respond
	numStages
)

var stageNames = [numStages]string{
	"serialize", "network", "decode", "admit", "route", "log", "replicate", "apply", "respond",
}

// String is the stage's name in metrics, headers and traces.
func (s Stage) String() string { return stageNames[s] }

// Stages holds how long one batch spent in each stage. A nil *Stages takes and
// gives nothing. It is not safe for concurrent use: whoever carries the batch
// writes to it.
type Stages struct {
	spent [numStages]time.Duration
	seen  [numStages]bool
}

// Add adds time spent in a stage.
func (s *Stages) Add(stage Stage, d time.Duration) {
	if s != nil {
		s.spent[stage] += max(d, 0)
		s.seen[stage] = true
	}
}

// Since adds the time since start, and returns the time that it read, which is
// where the next stage starts.
func (s *Stages) Since(stage Stage, start time.Time) time.Time {
	now := time.Now()
	s.Add(stage, now.Sub(start))
	return now
}

// Each calls visit with every stage the batch met, in order.
func (s *Stages) Each(visit func(Stage, time.Duration)) {
	if s == nil {
		return
	}
	for stage := range numStages {
		if s.seen[stage] {
			visit(stage, s.spent[stage])
		}
	}
}

// ServerTiming writes the stages in the form of the HTTP header Server-Timing,
// in milliseconds: "decode;dur=0.041, admit;dur=0.002". The gRPC trailer of the
// same name holds the same text.
func (s *Stages) ServerTiming() string {
	var room [256]byte
	text := room[:0]
	s.Each(func(stage Stage, d time.Duration) {
		if len(text) > 0 {
			text = append(text, ", "...)
		}
		text = append(append(text, stage.String()...), ";dur="...)
		text = strconv.AppendFloat(text, float64(d.Nanoseconds())/1e6, 'f', 3, 64)
	})
	return string(text)
}

// ParseServerTiming reads what ServerTiming wrote; it skips what it does not know.
func ParseServerTiming(text string) *Stages {
	var s Stages
	for part := range strings.SplitSeq(text, ",") {
		name, dur, ok := strings.Cut(strings.TrimSpace(part), ";dur=")
		ms, err := strconv.ParseFloat(dur, 64)
		if !ok || err != nil {
			continue
		}
		for stage := range numStages {
			if stage.String() == name {
				s.Add(stage, time.Duration(ms*1e6))
			}
		}
	}
	return &s
}
