//go:build unix

package peer

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// writeNow writes what a socket takes without waiting, and returns how much that was. It goes
// past the connection's own lock and deadline, so nobody else may be writing.
func writeNow(socket syscall.RawConn, data []byte) (n int) {
	_ = socket.Control(func(fd uintptr) { // of a connection that is closed nothing is taken
		n, _ = unix.Write(int(fd), data)
	})
	return max(n, 0)
}
