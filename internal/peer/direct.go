package peer

import "syscall"

// directBytes bounds the frames that are written by who has them. It is far below what a
// socket takes without waiting.
const directBytes = 2 << 10

// direct writes a small frame if nothing is before it and the socket takes it at once: who
// waits for a heartbeat's answer need not wait for a goroutine to be woken. What the socket
// takes only a part of is left to drain.
func (l *lane) direct(parts [][]byte) bool {
	if l.socket == nil || l.busy || len(l.frames)+len(l.rest) > 0 {
		return false
	}
	l.small.add(parts...)
	n := writeNow(l.socket, l.small.buf)
	if n > 0 && n < len(l.small.buf) {
		l.rest = append([]byte(nil), l.small.buf[n:]...)
		l.wake()
	}
	l.small.buf, l.small.size = l.small.buf[:0], 0
	return n > 0
}

// open lets frames be written directly, unless something stands between them and the socket.
func (l *lane) open(c *conn) {
	if c.raw != c.stream {
		return
	}
	if raw, ok := c.raw.(syscall.Conn); ok {
		if socket, err := raw.SyscallConn(); err == nil {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.socket = socket
		}
	}
}

// shut ends that, with the connection.
func (l *lane) shut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.socket, l.rest, l.busy = nil, nil, false
}
