package peer

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Lane is one of the ways to another node.
type Lane int

// The lanes.
const (
	// Urgent is for what is small and must not wait.
	Urgent Lane = iota
	// Bulk is for log entries.
	Bulk
	lanes
)

// lanePurposes are what the connections of lanes are for.
var lanePurposes = [lanes]purpose{Urgent: forUrgent, Bulk: forBulk}

// laneBytes bounds what waits in one lane, or is being written. A frame more is lost, and
// with it the wish to keep a node supplied that does not keep up.
const laneBytes = 256 << 20

// lane is what waits to be sent to one node.
type lane struct {
	mu     sync.Mutex
	frames [][][]byte
	// bytes are those of frames, and of what was taken and is not yet written.
	bytes  int
	signal chan struct{} // holds one token when frames or rest may not be empty
	// socket is that of the connection while it may be written to by who has a frame.
	socket syscall.RawConn
	busy   bool   // drain is writing
	small  batch  // memory for what is written directly
	rest   []byte // what the socket did not take of a frame
}

func newLane() *lane { return &lane{signal: make(chan struct{}, 1)} }

// put adds a frame, false if there is no room.
func (l *lane) put(parts [][]byte) bool {
	size := sizeOf(parts)
	if size == 0 {
		return true // it would be a pulse
	}
	if size > maxFrameBytes {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.bytes > 0 && l.bytes+size > laneBytes {
		return false
	}
	if size <= directBytes && l.direct(parts) {
		return true
	}
	l.frames = append(l.frames, parts)
	l.bytes += size
	l.wake()
	return true
}

func (l *lane) wake() {
	select {
	case l.signal <- struct{}{}:
	default:
	}
}

// take empties the lane for who writes, until written gives back its room. rest goes before
// the frames.
func (l *lane) take() (rest []byte, frames [][][]byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	rest, l.rest = l.rest, nil
	frames, l.frames = l.frames, nil
	l.busy = true
	return rest, frames
}

// written gives back the room of frames that were taken.
func (l *lane) written(frames [][][]byte) {
	size := 0
	for _, parts := range frames {
		size += sizeOf(parts)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bytes -= size
	l.busy = false
}

// forget empties the lane for good.
func (l *lane) forget() {
	_, frames := l.take()
	l.written(frames)
}

const (
	// redialEvery is how long a lane waits before it is dialed again, and refusedPause how
	// long at most if it was refused, which may last, and costs both sides a handshake.
	redialEvery  = 50 * time.Millisecond
	refusedPause = time.Second
)

// run sends what is put into a lane until the node is closed.
func (r *remote) run(which Lane) {
	l, pause := r.lanes[which], redialEvery
	for r.ctx.Err() == nil {
		if r.client.self().Cluster == "" { // nobody would take anything
			l.forget()
		} else if err := r.carry(which); r.ctx.Err() == nil {
			r.laneDown(which, err)
			l.forget() // what waits is old by the time that the node is back
			r.client.lost(r.id)
			var refused *RefusedError
			if errors.As(err, &refused) {
				pause = min(2*pause, refusedPause)
			} else {
				pause = redialEvery
			}
		}
		select {
		case <-r.ctx.Done():
		case <-time.After(pause):
		}
	}
}

// carry dials and sends until the connection ends, and returns why.
func (r *remote) carry(which Lane) error {
	c, err := r.dial(r.ctx, lanePurposes[which])
	if err != nil {
		return err
	}
	r.laneUp(which)
	if which == Urgent { // log entries would keep a leader from its own log
		r.lanes[which].open(c)
	}
	err = r.lanes[which].drain(r.ctx, c)
	if which == Urgent {
		r.calls.cut() // nobody is there to answer them, or somebody new
	}
	return err
}

var errSilent = fmt.Errorf("there was no sign of life for %v", silence)

// drain sends until the connection ends, closes it, and returns why it ended. A pulse is an
// empty frame, which the other side gives back.
func (l *lane) drain(ctx context.Context, c *conn) error {
	defer context.AfterFunc(ctx, c.close)()
	var answered atomic.Int64
	var why error
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		why = c.countPulses(&answered)
	}()
	defer func() { c.close(); <-ended }()
	defer l.shut()

	ticker := time.NewTicker(pulseEvery)
	defer ticker.Stop()
	asked, askedAt := int64(0), time.Time{}
	for {
		pulse := false
		select {
		case <-l.signal:
		case <-ticker.C:
			if pulse = answered.Load() == asked; !pulse && time.Since(askedAt) > silence {
				return errSilent
			}
		case <-ended:
			return why
		case <-ctx.Done():
			return ctx.Err()
		}
		rest, frames := l.take()
		c.out.raw(rest)
		for _, parts := range frames {
			c.out.add(parts...)
		}
		if pulse {
			asked++
			c.out.add()
		}
		if c.out.size == 0 {
			l.written(nil)
			continue
		}
		err := c.flush()
		if err != nil {
			l.shut() // nothing may follow half a frame
		}
		l.written(frames)
		if err != nil {
			return err
		}
		if pulse { // before that, it had not left
			askedAt = time.Now()
		}
	}
}

// countPulses receives until the connection ends. Nothing comes but pulses.
func (c *conn) countPulses(n *atomic.Int64) error {
	for {
		frame, err := c.receive()
		if err != nil {
			return err
		}
		if len(frame) > 0 {
			return errors.New("the node answered on a lane, which goes one way")
		}
		n.Add(1)
	}
}
