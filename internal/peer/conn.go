package peer

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// How long the other end may take.
const (
	// dialTime bounds the dialing, and greetTime the handshake and the greeting.
	dialTime  = 2 * time.Second
	greetTime = 5 * time.Second
	// A frame may take frameGrace and its size at slowestRate, bytes a second.
	frameGrace  = 5 * time.Second
	slowestRate = 4 << 20
	// pulseEvery is how often a lane is asked for a sign of life, and silence how long none
	// may come.
	pulseEvery = time.Second
	silence    = 5 * time.Second
	// stateSilence is the same for a state, whose ends wait for their disks.
	stateSilence = time.Minute
)

// keepAlive is for connections on which nothing is due.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: time.Second, Count: 3}

// conn is a connection that carries frames. One goroutine at a time may send, and one
// receive; anyone may close it.
type conn struct {
	// raw is the connection, or the one below TLS. It alone is closed: a farewell of TLS
	// could wait.
	raw    net.Conn
	stream net.Conn
	frames frameReader
	out    batch
	// idle bounds the wait for a frame to begin; 0 is for ever.
	idle time.Duration
	// grace is what the bytes of a frame may take on top of slowestRate.
	grace   time.Duration
	limited bool // by a read deadline
}

func newConn(raw, stream net.Conn) *conn {
	return &conn{raw: raw, stream: stream, frames: newFrameReader(stream, maxGreetingBytes), grace: frameGrace}
}

// patience is how long so many bytes may take.
func (c *conn) patience(size int) time.Duration {
	return c.grace + time.Duration(size)*time.Second/slowestRate
}

// admitted lifts the limits of the greeting.
func (c *conn) admitted() error {
	c.frames.max = maxFrameBytes
	return c.raw.SetDeadline(time.Time{})
}

func (c *conn) close() { _ = c.raw.Close() }

// send writes one frame.
func (c *conn) send(parts ...[]byte) error {
	c.out.add(parts...)
	return c.flush()
}

// flush writes the frames that were added to out.
func (c *conn) flush() error {
	if err := c.raw.SetWriteDeadline(time.Now().Add(c.patience(c.out.size))); err != nil {
		return err
	}
	return c.out.writeTo(c.stream)
}

// receive returns the payload of the next frame.
func (c *conn) receive() ([]byte, error) {
	if c.frames.src.Buffered() < headerBytes {
		if err := c.limit(c.idle); err != nil {
			return nil, err
		}
	}
	size, err := c.frames.begin()
	if err != nil {
		return nil, err
	}
	if size > c.frames.src.Buffered() {
		if err := c.limit(c.patience(size)); err != nil {
			return nil, err
		}
	}
	return c.frames.payload(size)
}

// limit sets how long the next bytes may take; 0 is for ever.
func (c *conn) limit(d time.Duration) error {
	if d == 0 && !c.limited {
		return nil
	}
	c.limited = d > 0
	if d == 0 {
		return c.raw.SetReadDeadline(time.Time{})
	}
	return c.raw.SetReadDeadline(time.Now().Add(d))
}

// unlimited lifts the limit for the next bytes.
func (c *conn) unlimited() error {
	c.limited = false
	return c.raw.SetReadDeadline(time.Time{})
}

// hungUp says whether a connection just ended, in whatever way the other end chose.
func hungUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, io.ErrClosedPipe) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// late says whether the other end took too long.
func late(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }
