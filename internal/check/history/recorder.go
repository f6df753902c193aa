package history

import (
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"
)

// File is where a history goes.
type File interface {
	io.Writer
	Sync() error
}

// Recorder writes a history. Callers who come while one sync runs share the next. What it
// holds in memory is bounded by its callers: a client has at most one call and the return
// before it in the buffer, followers wait when there is much, and what else is written comes
// slowly.
type Recorder struct {
	file  File
	began time.Time

	mu   sync.Mutex
	done sync.Cond
	// filling gets lines; spare is the other of two buffers that take turns.
	filling, spare []byte
	// round is what the lines in filling will be synced by; synced is the last that was.
	round, synced uint64
	syncing       bool
	ops           uint64
	err           error
}

// mostWaitingBytes is what the buffer may have before those who need not wait for the disk do.
const mostWaitingBytes = 4 << 20

// NewRecorder begins a history.
func NewRecorder(file File, run *Run) (*Recorder, error) {
	r := &Recorder{file: file, began: time.Now(), round: 1}
	r.done.L = &r.mu
	run.Format, run.Began = Format, r.began.UTC().Format(time.RFC3339Nano)
	return r, r.append(&Event{Run: run}, true)
}

// Now is the time on the history's clock.
func (r *Recorder) Now() int64 { return int64(time.Since(r.began)) }

// Call writes down a call, and returns its number when that is on disk: from then on it may
// be made.
func (r *Recorder) Call(call *Call) (op uint64, err error) {
	r.mu.Lock()
	r.ops++
	op = r.ops
	r.mu.Unlock()
	return op, r.append(&Event{AtNS: r.Now(), Op: op, Call: call}, true)
}

// Return writes down how a call ended, and does not wait for the disk.
func (r *Recorder) Return(op uint64, at int64, ret *Return) error {
	return r.append(&Event{AtNS: at, Op: op, Return: ret}, false)
}

// Open begins a trial.
func (r *Recorder) Open(trial, workload string) error {
	return r.append(&Event{AtNS: r.Now(), Open: &Open{trial, workload}}, false)
}

// Close ends a trial.
func (r *Recorder) Close(trial string) error {
	return r.append(&Event{AtNS: r.Now(), Close: &Close{trial}}, false)
}

// Pulse writes down that a node lives.
func (r *Recorder) Pulse(pulse *Pulse) error {
	return r.append(&Event{AtNS: r.Now(), Pulse: pulse}, false)
}

// End ends the history; everything is then on disk.
func (r *Recorder) End(interrupted bool) error {
	return r.append(&Event{AtNS: r.Now(), End: &End{interrupted}}, true)
}

// append adds a line and, if asked to, waits until it is on disk. A first failure is final:
// what comes after it could not be told from a history that has lost a line.
func (r *Recorder) append(event *Event, durable bool) error {
	line, err := json.Marshal(event)
	if err != nil {
		return fmt.Errorf("encode a line of the history: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.filling = append(append(r.filling, line...), '\n')
	durable = durable || len(r.filling) > mostWaitingBytes
	for mine := r.round; durable && r.err == nil && r.synced < mine; {
		if r.syncing {
			r.done.Wait()
			continue
		}
		r.sync()
	}
	return r.err
}

// sync writes the buffer. The caller holds mu, which is free meanwhile.
func (r *Recorder) sync() {
	lines, round := r.filling, r.round
	r.filling, r.spare = r.spare[:0], nil
	r.round++
	r.syncing = true
	r.mu.Unlock()
	_, err := r.file.Write(lines)
	if err == nil {
		err = r.file.Sync()
	}
	r.mu.Lock()
	r.spare, r.syncing = lines, false
	if err != nil && r.err == nil {
		r.err = fmt.Errorf("write the history: %w", err)
	}
	r.synced = round
	r.done.Broadcast()
}
