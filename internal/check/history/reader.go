package history

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/sheafdb/sheaf"
)

// longestLine bounds what is read of a file that is no history.
const longestLine = 64 << 20

// Trial is everything that was done to a few keys.
type Trial struct {
	Open
	// Ops are in the order of their first calls.
	Ops []*Op
	// Followers are in the order in which they began.
	Followers []*Follower
	// Closed: it came to its end.
	Closed bool
}

// Whole says how a history ended.
type Whole struct {
	// Ended: the run came to its end, and Interrupted before its time.
	Ended, Interrupted bool
	// Torn: the last line is not whole, as after a kill.
	Torn bool
	// LastNS is the time of the last line.
	LastNS int64
}

// errForm is a file that is no history of this format.
var errForm = errors.New("this is not a history of sheafcheck")

// Visitor is told what a history has.
type Visitor interface {
	// Begin is called first.
	Begin(*Run) error
	// Trial is called when a trial has ended, and at the end of the file for those that
	// have not.
	Trial(*Trial) error
	// Pulse is called for every sign of life, with the time at which it came.
	Pulse(atNS int64, pulse *Pulse)
}

// Read reads a history.
func Read(file io.Reader, visitor Visitor) (Whole, error) {
	r := reader{trials: make(map[string]*open), calls: make(map[uint64]pending), visitor: visitor}
	lines := bufio.NewReaderSize(file, 1<<20)
	for number := 1; ; number++ {
		line, err := readLine(lines)
		if err != nil && !errors.Is(err, io.EOF) {
			return r.whole, fmt.Errorf("line %d: %w", number, err)
		}
		last := errors.Is(err, io.EOF)
		if len(line) > 0 {
			var event Event
			if err := json.Unmarshal(line, &event); err != nil {
				if number == 1 || !last && !nothingFollows(lines) {
					return r.whole, fmt.Errorf("line %d: %w: %w", number, errForm, err)
				}
				r.whole.Torn, last = true, true
			} else if err := r.take(&event, number == 1); err != nil {
				return r.whole, fmt.Errorf("line %d: %w", number, err)
			}
		}
		if last {
			return r.whole, r.finish()
		}
	}
}

func readLine(lines *bufio.Reader) (line []byte, err error) {
	for {
		part, err := lines.ReadSlice('\n')
		line = append(line, part...)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return bytes.TrimSuffix(line, []byte("\n")), err
		}
		if len(line) > longestLine {
			return nil, errForm
		}
	}
}

// nothingFollows reports whether the line that was read last is the file's last.
func nothingFollows(lines *bufio.Reader) bool {
	_, err := lines.Peek(1)
	return errors.Is(err, io.EOF)
}

// open is a trial that has not ended.
type open struct {
	*Trial
	byID map[string]*Op
}

// pending is a call that has not returned.
type pending struct {
	trial *open
	op    *Op
	at    int // among the operation's attempts
}

type reader struct {
	whole   Whole
	began   bool
	trials  map[string]*open
	order   []string // of the trials, as they were opened
	calls   map[uint64]pending
	visitor Visitor
}

func (r *reader) take(event *Event, first bool) error {
	if first != (event.Run != nil) {
		return fmt.Errorf("%w: it does not begin with its run", errForm)
	}
	r.whole.LastNS = max(r.whole.LastNS, event.AtNS)
	switch {
	case event.Run != nil:
		if event.Run.Format != Format {
			return fmt.Errorf("%w: its format is %d, and this program reads %d", errForm, event.Run.Format, Format)
		}
		r.began = true
		return r.visitor.Begin(event.Run)
	case event.Open != nil:
		if r.trials[event.Open.Trial] != nil {
			return fmt.Errorf("%w: trial %s is opened twice", errForm, event.Open.Trial)
		}
		r.trials[event.Open.Trial] = &open{&Trial{Open: *event.Open}, make(map[string]*Op)}
		r.order = append(r.order, event.Open.Trial)
	case event.Call != nil:
		return r.call(event)
	case event.Return != nil:
		return r.returned(event)
	case event.Seen != nil:
		return r.seen(event)
	case event.Close != nil:
		return r.end(event.Close.Trial, true)
	case event.Pulse != nil:
		r.visitor.Pulse(event.AtNS, event.Pulse)
	case event.End != nil:
		r.whole.Ended, r.whole.Interrupted = true, event.End.Interrupted
	}
	return nil // a line of a kind that is not known yet says nothing that matters
}

// call adds an attempt, to a new operation or to that with its request ID.
func (r *reader) call(event *Event) error {
	call := event.Call
	trial := r.trials[call.Trial]
	n := len(call.Keys)
	switch {
	case trial == nil:
		return fmt.Errorf("%w: op %d is in trial %q, which is not open", errForm, event.Op, call.Trial)
	case call.Writes != nil && (len(call.Writes) != n || call.RequestID == ""), call.Condition != "" && len(call.Expect) != n, n == 0:
		return fmt.Errorf("%w: op %d does not name its keys", errForm, event.Op)
	}
	var op *Op
	if call.Writes != nil {
		op = trial.byID[call.RequestID]
	}
	if op == nil {
		level, err := sheaf.ParseConsistency(call.Level)
		if err != nil {
			return fmt.Errorf("%w: %w", errForm, err)
		}
		op = &Op{Call: call, Number: event.Op, Level: level}
		trial.Ops = append(trial.Ops, op)
		if call.Writes != nil {
			trial.byID[call.RequestID] = op
		}
	}
	op.Attempts = append(op.Attempts, Attempt{Op: event.Op, Node: call.Node, StartNS: event.AtNS, EndNS: Forever})
	r.calls[event.Op] = pending{trial, op, len(op.Attempts) - 1}
	return nil
}

func (r *reader) returned(event *Event) error {
	p, ok := r.calls[event.Op]
	if !ok {
		return fmt.Errorf("%w: op %d returns and was not called", errForm, event.Op)
	}
	delete(r.calls, event.Op)
	ret := event.Return
	if !p.op.IsWrite() && ret.Outcome == OK && (len(ret.Values) != len(p.op.Keys) || len(ret.Versions) != len(p.op.Keys)) {
		return fmt.Errorf("%w: op %d does not return what its keys have", errForm, event.Op)
	}
	a := &p.op.Attempts[p.at]
	a.StartNS, a.EndNS, a.Return = max(a.StartNS, ret.SentNS), event.AtNS, *ret
	return nil
}

// end hands a trial over.
func (r *reader) end(name string, closed bool) error {
	trial := r.trials[name]
	if trial == nil {
		return fmt.Errorf("%w: trial %q ends and was not opened", errForm, name)
	}
	delete(r.trials, name)
	for _, op := range trial.Ops {
		op.conclude()
	}
	trial.Closed = closed
	return r.visitor.Trial(trial.Trial)
}

// finish judges what was cut short.
func (r *reader) finish() error {
	if !r.began {
		return fmt.Errorf("%w: there is nothing in it", errForm)
	}
	for _, name := range r.order {
		if r.trials[name] != nil {
			if err := r.end(name, false); err != nil {
				return err
			}
		}
	}
	return nil
}
